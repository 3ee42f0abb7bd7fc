// A block of CUDA threads on one thread of the system: each runs until it must wait for others, then the next one does.
// The order is drawn anew for every round, so that a missing barrier shows as a wrong result; a barrier that cannot be
// reached by all is reported as a deadlock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "simt/fiber.h"

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct uint3 {
  unsigned x, y, z;
};

// CUDA's own names; the scheduler sets them before a thread goes on.
inline constinit thread_local uint3 threadIdx{};
inline constinit thread_local uint3 blockIdx{};
inline constinit thread_local dim3 blockDim{};
inline constinit thread_local dim3 gridDim{};
constexpr int warpSize = 32;

namespace simt {

constexpr int kWarp = warpSize;
constexpr size_t kMostDepositBytes = 32;

// What the lanes of a warp give each other in one collective.
using Deposits = unsigned char[kWarp][kMostDepositBytes];

// The lanes of one warp that meet under one mask. Two tables in turn: a lane may enter the next collective while
// another still reads what was given in this one.
struct Meeting {
  uint32_t mask = 0;
  uint32_t arrived = 0;
  uint64_t generation = 0;
  const char* operation = nullptr;
  alignas(16) Deposits deposits[2];
};

// An asynchronous copy of 16 bytes to shared memory that is under way; `filled` of them come from memory.
struct Copy {
  void* to;
  const void* from;
  size_t filled;
};

struct Thread {
  uint3 index{};
  int lane = 0;
  int warp = 0;
  enum { kReady, kAtBarrier, kInMeeting, kDone } state = kDone;
  Meeting* meeting = nullptr;
  uint64_t generation = 0;     // of the meeting, when it was entered
  std::vector<Copy> copies;    // under way, oldest first; they land when they are waited for, not before
  std::vector<size_t> groups;  // sizes of the committed groups of copies, oldest first
  Fiber fiber;
};

class Block {
 public:
  // The block that is running; null outside of a kernel.
  static Block& current() { return *current_; }
  static bool running() { return current_ != nullptr; }

  // Runs kernel() on every thread of every block of the grid. Throws std::runtime_error with the block, the thread and
  // what it waits for, where threads wait for each other in vain.
  static void run_grid(dim3 grid, dim3 block, size_t shared_bytes, uint64_t seed, const std::function<void()>& kernel);

  Thread& thread() { return *running_; }
  unsigned char* shared() { return shared_; }

  // __syncthreads; returns the number of threads that gave a predicate other than 0.
  int barrier(int predicate);
  // Deposits `bytes` of `value` and waits until every lane of the mask has. The table holds until the next but one
  // collective of the same mask.
  const Deposits& meet(unsigned mask, const void* value, size_t bytes, const char* operation);

 private:
  void run(const std::function<void()>& kernel, std::mt19937_64& random);
  static void enter();
  void wait();
  void release_barrier();
  std::string deadlock() const;
  [[noreturn]] void refuse(const std::string& what) const;

  static thread_local Block* current_;
  unsigned char* shared_ = nullptr;
  const std::function<void()>* kernel_ = nullptr;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<std::vector<std::unique_ptr<Meeting>>> meetings_;  // of each warp
  Thread* running_ = nullptr;
  int count_ = 0, alive_ = 0, at_barrier_ = 0, predicates_ = 0, predicates_of_last_ = 0;
  std::string error_;
};

}  // namespace simt
