#include "cpu/team.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace moe::cpu {
namespace {

// The fields of Team::state_: workers in the run, open (workers may enter), end of the team, number of the run.
constexpr uint32_t kInside = (1u << 12) - 1, kOpen = 1u << 12, kEnd = 1u << 13, kNumber = ~(kInside | kOpen | kEnd);
constexpr uint32_t kNextNumber = kEnd << 1;

// How long a waiting thread spins before it sleeps: a few times the cost of waking it (docs/kernels-cpu.md).
constexpr std::chrono::microseconds kSpin{50};
// Spin time if more threads are awake than there are processors: the awaited thread may need this processor.
constexpr std::chrono::microseconds kCrowdedSpin{2};

// Stack of a worker. Kernels keep a few KB on the stack and the rest in scratch memory.
constexpr size_t kStackBytes = size_t{1} << 20;

// Awake threads of all teams. A caller counts while one of its workers is awake.
std::atomic<int> awake{0};

thread_local int own_member = 0;
thread_local bool own_work = false;

bool is_crowded() {
  static const int processors = static_cast<int>(std::thread::hardware_concurrency());
  return awake.load(std::memory_order_relaxed) > processors;
}

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Spins until the condition holds; returns false after the time limit.
template <typename Condition>
bool spin_until(Condition&& holds) {
  constexpr int kSpinsPerClock = 32;  // reading the clock takes longer than a check of the condition
  const auto deadline = std::chrono::steady_clock::now() + (is_crowded() ? kCrowdedSpin : kSpin);
  do {
    for (int i = 0; i < kSpinsPerClock; ++i) {
      if (holds()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return false;
}

// Sleeps while the word has this value; may return early.
void sleep_on(std::atomic<uint32_t>& word, uint32_t value) {
  static_assert(sizeof(word) == sizeof(uint32_t));
  ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void wake(std::atomic<uint32_t>& word, int threads) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, threads, nullptr, nullptr, 0);
}

// Blocks signals while workers start, since they inherit the mask: other threads of the process handle signals. Faults
// stay unblocked, so that a fault in a worker is reported like any other.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t blocked;
    ::sigfillset(&blocked);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) ::sigdelset(&blocked, fault);
    ::pthread_sigmask(SIG_SETMASK, &blocked, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace

Team::Team(int threads) : threads_(threads) {}

Team::~Team() {
  state_.store(kEnd);
  wake(state_, threads_);
  for (const Worker& worker : workers_) ::pthread_join(worker.thread, nullptr);
}

int Team::member() { return own_member; }
bool Team::at_work() { return own_work; }
int Team::awake_threads() { return awake.load(std::memory_order_relaxed); }

void Team::start() {
  workers_.reserve(static_cast<size_t>(threads_ - 1));  // workers hold pointers into the vector
  started_ = true;
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) return;
  ::pthread_attr_setstacksize(&attributes, kStackBytes);
  const SignalsBlocked blocked;
  for (int member = 1; member < threads_; ++member) {
    Worker& worker = workers_.emplace_back(Worker{this, member, {}});
    worker_wakes();
    const auto main = [](void* argument) -> void* {
      const Worker& own = *static_cast<const Worker*>(argument);
      own.team->work(own.member);
      return nullptr;
    };
    if (::pthread_create(&worker.thread, &attributes, main, &worker) != 0) {
      worker_sleeps();
      workers_.pop_back();
      break;
    }
    ::pthread_setname_np(worker.thread, ("panamoe-" + std::to_string(member)).c_str());
  }
  ::pthread_attr_destroy(&attributes);
}

void Team::run(int wanted, Body body, void* context) {
  if (!started_) start();
  if (workers_.empty()) {
    body(context, 0);
    return;
  }
  body_ = body;
  context_ = context;
  const uint32_t number = (state_.load(std::memory_order_relaxed) + kNextNumber) & kNumber;
  state_.store(number | kOpen);
  if (awake_.load() < static_cast<int>(workers_.size())) wake(state_, wanted - 1);
  own_work = true;
  call(0);
  own_work = false;
  if ((state_.fetch_and(~kOpen) & kInside) != 0) await_members();
  if (failed_.load(std::memory_order_relaxed)) {
    failed_.store(false, std::memory_order_relaxed);
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
}

void Team::call(int member) noexcept {
  try {
    body_(context_, member);
  } catch (...) {
    if (!failed_.exchange(true)) failure_ = std::current_exception();
  }
}

void Team::work(int member) {
  own_member = member;
  own_work = true;
  uint32_t seen = 0;  // the number of the last run
  for (;;) {
    uint32_t state = await_run(seen);
    if ((state & kEnd) != 0) return worker_sleeps();
    const uint32_t number = state & kNumber;
    bool entered = false;
    while (!entered && (state & ~kInside) == (number | kOpen)) entered = state_.compare_exchange_weak(state, state + 1);
    seen = number;
    if (!entered) continue;
    call(member);
    if ((state_.fetch_sub(1) & (kOpen | kInside)) == 1 && caller_sleeps_.exchange(0) == 1) wake(caller_sleeps_, 1);
  }
}

// Waits for an open run whose number is not `seen`, or for the team's end, and returns the state.
uint32_t Team::await_run(uint32_t seen) {
  uint32_t state = 0;
  const auto has_work = [&] {
    state = state_.load();
    return (state & kEnd) != 0 || ((state & kOpen) != 0 && (state & kNumber) != seen);
  };
  while (!spin_until(has_work)) {
    worker_sleeps();
    // Either the caller that opens a run sees that this worker sleeps, or this worker sees the open run.
    if (!has_work()) sleep_on(state_, state);
    worker_wakes();  // the run may be over by now
  }
  return state;
}

void Team::await_members() {
  if (spin_until([&] { return (state_.load() & kInside) == 0; })) return;
  for (;;) {
    caller_sleeps_.store(1);
    if ((state_.load() & kInside) == 0) break;
    sleep_on(caller_sleeps_, 1);
  }
  caller_sleeps_.store(0);
}

void Team::worker_sleeps() { awake.fetch_sub(awake_.fetch_sub(1) == 1 ? 2 : 1, std::memory_order_relaxed); }
void Team::worker_wakes() { awake.fetch_add(awake_.fetch_add(1) == 0 ? 2 : 1, std::memory_order_relaxed); }

}  // namespace moe::cpu
