// Pinned memory through which bytes cross between the host and a GPU.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstdint>

namespace moe::cuda {

// Belongs to one stream. What is written goes through its parts in turn: a part is used again once the copies from it
// are done, so a caller waits only if it is several parts ahead of the GPU.
class Staging {
 public:
  static constexpr int64_t kPartBytes = 128 << 10;
  static constexpr int64_t kBytes = 4 * kPartBytes;

  // Throws Error if there is no pinned memory left. The GPU is the current one.
  Staging();
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // Memory for at most kPartBytes that the host may write at once, and from which the stream's next work copies.
  char* next(int64_t bytes, cudaStream_t stream);
  // All of it, kBytes: for the stream's work to copy to, and for the host once that is done.
  char* all() const { return memory_; }

 private:
  void release();

  char* memory_ = nullptr;
  std::array<cudaEvent_t, kBytes / kPartBytes> left_{};  // the last copy from each part is done
  size_t part_ = 0;
  int64_t used_ = 0;  // bytes of the part
};

}  // namespace moe::cuda
