// Runs a grid of CUDA threads as fibers on one OS thread. A fiber runs until it must wait for others. The order of
// fibers is random in every round, so that a missing barrier shows as a wrong result; a barrier that not all threads
// reach is reported as a deadlock. Blocks interleave: at a fence or an atomic operation on global memory another block
// may go on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "simt/async_proxy.h"
#include "simt/counters.h"
#include "simt/fiber.h"
#include "simt/shared.h"

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct uint3 {
  unsigned x, y, z;
};

// CUDA's variables; the scheduler sets them before it resumes a fiber.
inline constinit thread_local uint3 threadIdx{};
inline constinit thread_local uint3 blockIdx{};
inline constinit thread_local dim3 blockDim{};
inline constinit thread_local dim3 gridDim{};
constexpr int warpSize = 32;

namespace simt {
constexpr size_t kMostDepositBytes = 32;

// The values that the lanes of a warp exchange in one collective.
using Deposits = unsigned char[kWarp][kMostDepositBytes];

// The lanes of one warp in a collective with one mask. Two tables alternate, because a lane may enter the next
// collective while another one still reads this one's values.
struct Meeting {
  uint32_t mask = 0;
  uint32_t arrived = 0;
  uint64_t generation = 0;
  const char* operation = nullptr;
  alignas(16) Deposits deposits[2];
};

// An asynchronous copy of 16 bytes to shared memory in flight; the first `filled` bytes come from memory, the others
// are 0.
struct Copy {
  void* to;
  const void* from;
  size_t filled;
};

// One of a block's 16 barriers: __syncthreads is number 0, for all threads that have not ended.
struct Barrier {
  int threads = 0;  // threads that take part; 0: all
  int arrived = 0, predicates = 0, predicates_of_last = 0;
};

struct Thread {
  uint3 index{};
  int lane = 0;
  int warp = 0;
  enum { kReady, kAtBarrier, kInMeeting, kAtMbarrier, kDone } state = kDone;
  Barrier* barrier = nullptr;
  const Mbarrier* mbarrier = nullptr;
  int parity = 0;  // parity of the mbarrier phase that the fiber waits for
  Meeting* meeting = nullptr;
  uint64_t generation = 0;  // generation of the collective that the fiber entered
  // What the thread did last since its barrier: a ticket is between two fences.
  enum { kNothing, kFenced, kTicket } order = kNothing;
  int registers = 0;           // by setmaxnreg; 0: as launched
  std::vector<Copy> copies;    // in flight, oldest first; they happen only when they are waited for
  std::vector<size_t> groups;  // sizes of the committed groups of copies, oldest first
  Fiber fiber;
};

// A launch: its blocks, and their dynamic shared memory and most shared memory in bytes.
struct Shape {
  dim3 grid, block;
  size_t shared_bytes, most_shared_bytes;
};

class Block {
 public:
  // The running block; null outside a kernel.
  static Block& current() { return *current_; }
  static bool running() { return current_ != nullptr; }

  // Runs kernel() on every thread of every block of the grid. Throws std::runtime_error on a mistake, like a deadlock;
  // the message names the block, the thread and what it waits for.
  static void run_grid(const Shape& shape, uint64_t seed, const std::function<void()>& kernel);

  Thread& thread() { return *running_; }
  SharedMemory& shared() { return shared_; }

  // This block's asynchronous proxy (TMA, wgmma).
  AsyncProxy& async() { return async_; }

  // __syncthreads_count: waits for all threads, or for `threads` of them at another barrier, and returns the number of
  // nonzero predicates.
  int barrier(int predicate, int number = 0, int threads = 0);
  // Waits until the mbarrier's phase of this parity has completed.
  void wait_for(const Mbarrier& mbarrier, int parity);
  // Deposits `bytes` of `value` and waits for all lanes of the mask. The table stays valid until the second next
  // collective of that mask.
  const Deposits& meet(unsigned mask, const void* value, size_t bytes, const char* operation);
  // __threadfence.
  void fence();
  // Called before an atomic operation.
  void access(const void* address);
  // Called before atomicInc, by which a block says that its results are there: requires a fence before, which publishes
  // them, and one after it, before a barrier lets other threads read other blocks' results.
  void take_ticket(const void* address);
  // setmaxnreg: the running thread's registers from now on.
  void set_registers(int registers);
  // Ends the kernel with this failure of the running thread.
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  void start(const Shape& shape, const std::function<void()>& kernel, std::mt19937_64& random, size_t shared_offset);
  // Runs until the block has ended or pauses; returns whether it has ended.
  bool run();
  static void enter();
  void wait();
  void pause();
  std::string unfinished() const;
  bool may_go_on(Thread& thread) const;
  bool release_barriers();
  std::string deadlock() const;

  static thread_local Block* current_;
  SharedMemory shared_;
  uint3 index_{};
  bool alone_ = false, paused_ = false;
  std::mt19937_64* random_ = nullptr;
  const std::function<void()>* kernel_ = nullptr;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<std::vector<std::unique_ptr<Meeting>>> meetings_;  // per warp
  Thread* running_ = nullptr;
  std::array<Barrier, 16> barriers_;
  AsyncProxy async_;
  std::vector<int> order_;  // of the threads in a round
  int count_ = 0, alive_ = 0;
  std::string error_;
};

}  // namespace simt
