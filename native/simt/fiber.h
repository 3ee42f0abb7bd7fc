// Fibers, one per CUDA thread of a block, on one OS thread.
#pragma once

#include <cstddef>

namespace simt {

// A stack, and the point where its function was suspended.
class Fiber {
 public:
  static constexpr size_t kStackBytes = 128 << 10;

  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Prepares to run entry() from its start at the next resume(). entry must end with leave_for_good().
  void start(void (*entry)());
  // Runs the fiber on the calling thread until it calls leave() or leave_for_good().
  void resume();
  // Called on the fiber: returns to where resume() was called.
  void leave();
  [[noreturn]] void leave_for_good();
  // Must be the first call of entry().
  static void arrived();

 private:
  char* stack_;
  void* stack_pointer_ = nullptr;
  void* caller_stack_pointer_ = nullptr;
  void* fake_stack_ = nullptr;  // AddressSanitizer's own
};

}  // namespace simt
