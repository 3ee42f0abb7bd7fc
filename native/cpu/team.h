// The threads of a CPU stream.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <vector>

namespace moe::cpu {

// The thread that calls run(), and workers that help it. The first run starts the workers; the system may grant fewer
// than asked for, or none. One thread calls run() at a time; the destructor joins the workers.
//
// A waiting worker spins for kSpin, then sleeps on a futex. run() returns when the caller has finished and every worker
// that entered the run has left it. It does not wait for workers that have not entered: the caller has done their work.
// So a busy machine slows a run down but never makes it wait for a sleeping thread.
class Team {
 public:
  using Body = void (*)(void* context, int member);

  explicit Team(int threads);
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  ~Team();

  // Calls body(context, 0) on this thread and body(context, member) on each worker that enters, at most once per
  // member. Wakes workers for up to `wanted` members, including the caller. Throws the first exception of a body.
  void run(int wanted, Body body, void* context);

  // The calling thread's member number in its team; 0 if it is not in a team.
  static int member();
  // True inside a body: kernels that it calls run on this thread alone.
  static bool at_work();
  // Awake threads of all teams, including callers. Waiting threads spin less if there are more of them than processors.
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

  // State of the current run; valid until its last member has left.
  Body body_ = nullptr;
  void* context_ = nullptr;
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;

  // The run's number, whether it is open, and how many workers are in it. Workers sleep on this futex.
  alignas(64) std::atomic<uint32_t> state_{0};
  alignas(64) std::atomic<int> awake_{0};  // awake workers
  // 1 while the caller may be asleep; the last worker that leaves a closed run wakes it.
  std::atomic<uint32_t> caller_sleeps_{0};
};

}  // namespace moe::cpu
