// Pinned memory for copies between the host and a GPU.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstdint>

namespace moe::cuda {

// Belongs to one stream. Writes use its parts in turn: a part is reused once the copies from it are done, so a caller
// waits only if it is several parts ahead of the GPU.
class Staging {
 public:
  static constexpr int64_t kPartBytes = 128 << 10;  // the largest copy of one part
  static constexpr int64_t kBytes = 4 * kPartBytes;

  // Allocates pinned memory for the current GPU. Throws Error if there is none left.
  Staging();
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // At most kPartBytes that the host may write at once, and that the stream's next work copies from.
  char* next(int64_t bytes, cudaStream_t stream);
  // All kBytes: the stream's work copies to it, and the host reads it once that is done.
  char* all() const { return memory_; }

 private:
  void release();

  char* memory_ = nullptr;
  std::array<cudaEvent_t, kBytes / kPartBytes> left_{};  // completion of the last copy from each part
  size_t part_ = 0;
  int64_t used_ = 0;  // used bytes of the current part
};

}  // namespace moe::cuda
