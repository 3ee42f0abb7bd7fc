// A stream's own threads.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <vector>

namespace moe::cpu {

// The caller of run() and the workers that help it. Workers start with the first run, as many as the system grants: a
// team may be smaller than asked for, down to the caller alone. One thread calls run() at a time; the destructor joins.
//
// A worker that waits looks for work for kSpin, then sleeps. A run does not wait for workers that have not come when
// the caller is done: what they would have done is done by then. So a busy machine costs a run its help, never its end.
class Team {
 public:
  using Body = void (*)(void* context, int member);

  explicit Team(int threads);
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  ~Team();

  // Calls body(context, 0) here and body(context, member) on each worker that comes meanwhile, every member once at
  // most; `wanted` members, the caller included, can be of use. Returns once all that came are done, and throws what
  // one of them threw, the first.
  void run(int wanted, Body body, void* context);

  // The member that the calling thread is, of whichever team: 0 outside of any.
  static int member();
  // Whether the calling thread runs a body. What it calls there has no help: its team is at work.
  static bool at_work();
  // The threads of all teams that are not asleep, callers included: what decides how long those that wait may ask.
  static int awake_threads();

 private:
  struct Worker {
    Team* team;
    int member;
    pthread_t thread;
  };

  void start();
  void work(int member);
  uint32_t await_run(uint32_t seen);
  void await_members();
  void call(int member) noexcept;
  void worker_sleeps();
  void worker_wakes();

  const int threads_;
  bool started_ = false;
  std::vector<Worker> workers_;

  // Of the run, between its opening and the last member's leaving.
  Body body_ = nullptr;
  void* context_ = nullptr;
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;

  // The run's number, whether it is open, and how many workers are in it. Workers sleep on it.
  alignas(64) std::atomic<uint32_t> state_{0};
  alignas(64) std::atomic<int> awake_{0};  // workers
  // 1 while the caller may be asleep, which the last worker to leave a closed run ends.
  std::atomic<uint32_t> caller_sleeps_{0};
};

}  // namespace moe::cpu
