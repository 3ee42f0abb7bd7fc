#include "cuda/device/frees.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "cuda/device/stream.h"

namespace moe::cuda {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr std::chrono::microseconds kPause{50};

}  // namespace

Frees& Frees::of_process() {
  static auto* frees = new Frees;  // leaked on purpose: streams may end during static destruction
  return *frees;
}

void Frees::watch(const CudaStream& stream) {
  std::lock_guard lock(mutex_);
  if (std::find(watched_.begin(), watched_.end(), &stream) == watched_.end()) watched_.push_back(&stream);
}

void Frees::forget(const CudaStream& stream) {
  std::lock_guard lock(mutex_);
  std::erase(watched_, &stream);
}

void Frees::free(void* memory, Free* how) {
  if (memory == nullptr) return;
  {
    std::lock_guard lock(mutex_);
    waiting_.push_back({memory, how});
  }
  flush();
}

bool Frees::flush() {
  std::lock_guard lock(mutex_);
  const auto idle = [](const CudaStream* stream) {
    return stream->capturing() || cudaStreamQuery(stream->handle()) != cudaErrorNotReady;
  };
  if (waiting_.empty()) return true;
  if (!std::all_of(watched_.begin(), watched_.end(), idle)) return false;
  for (const Waiting& each : waiting_) each.how(each.memory);
  waiting_.clear();
  return true;
}

bool Frees::waits() {
  std::lock_guard lock(mutex_);
  return !waiting_.empty();
}

void Frees::await() {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!flush() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(kPause);
}

}  // namespace moe::cuda
