#include "simt/queue.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <utility>

#include "simt/memory.h"
#include "simt/outcome.h"

namespace {

enum Holding { kNothing = 0, kUntilSynchronized = 1, kBehindTheCaller = 2 };

std::atomic<int> holding{kNothing};

// Delay of a stream with asynchronous work: its results are visible no earlier.
constexpr std::chrono::microseconds kLate{300};

}  // namespace

// Makes streams hold their work back, like a busy GPU: 1 until they are synchronized; 2 for a while, on a thread per
// stream; 0 ends it. For tests.
extern "C" __attribute__((visibility("default"))) void simt_hold(int hold) { holding = hold; }

namespace simt {

cudaError_t Queue::give(std::function<void()> work) {
  std::unique_lock lock(mutex_);
  ++given_;
  held_.push_back(std::move(work));
  if (holding == kBehindTheCaller && !worker_.joinable()) worker_ = std::thread([this] { run_late(); });
  changed_.notify_all();
  return holding == kNothing && held_.size() == 1 ? run_until(given_, lock) : cudaSuccess;
}

uint64_t Queue::given() const {
  std::lock_guard lock(mutex_);
  return given_;
}

bool Queue::finished() const {
  std::lock_guard lock(mutex_);
  return done_ == given_;
}

cudaError_t Queue::finish(uint64_t count) {
  std::unique_lock lock(mutex_);
  return run_until(count, lock);
}

void Queue::close() {
  std::unique_lock lock(mutex_);
  if (!worker_.joinable()) return;
  run_until(given_, lock);
  closed_ = true;
  changed_.notify_all();
  lock.unlock();
  worker_.join();
}

cudaError_t Queue::run_until(uint64_t count, std::unique_lock<std::mutex>& lock) {
  while (done_ < count) {
    if (busy_ || held_.empty()) {
      changed_.wait(lock);
    } else {
      run_first(lock);
    }
  }
  return failure_.empty() ? cudaSuccess : lose(failure_.c_str());
}

void Queue::run_first(std::unique_lock<std::mutex>& lock) {
  const std::function<void()> work = std::move(held_.front());
  held_.pop_front();
  busy_ = true;
  lock.unlock();
  std::string failure;
  try {
    const MemoryAccess access;
    work();
  } catch (const std::exception& thrown) {
    failure = thrown.what();
  }
  lock.lock();
  if (failure_.empty()) failure_ = failure;
  busy_ = false;
  ++done_;
  changed_.notify_all();
}

void Queue::run_late() {
  cudaSetDevice(gpu_);
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return closed_ || (!busy_ && !held_.empty()); });
    if (closed_) return;
    const uint64_t next = done_;
    lock.unlock();
    std::this_thread::sleep_for(kLate);
    lock.lock();
    if (done_ == next && !busy_ && !held_.empty()) run_first(lock);
  }
}

}  // namespace simt
