// The work of an emulated stream.
#pragma once

#include <cuda_runtime.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace simt {

// A stream's work that is held back. It outlives its stream if another stream waits for it.
class Queue {
 public:
  explicit Queue(int gpu) : gpu_(gpu) {}

  // Runs the work now if no earlier work is held back.
  cudaError_t give(std::function<void()> work);
  uint64_t given() const;
  bool finished() const;
  // Returns when the first `count` pieces of work are done; runs those that no thread runs.
  cudaError_t finish(uint64_t count);
  // Called last: no more work is given.
  void close();

 private:
  cudaError_t run_until(uint64_t count, std::unique_lock<std::mutex>& lock);
  void run_first(std::unique_lock<std::mutex>& lock);
  void run_late();

  const int gpu_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> held_;
  uint64_t given_ = 0, done_ = 0;
  bool busy_ = false, closed_ = false;
  std::string failure_;  // message of the first work that threw
  std::thread worker_;
};

}  // namespace simt
