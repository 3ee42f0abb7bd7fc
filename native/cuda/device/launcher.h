// How a call launches kernels on a CUDA stream.
#pragma once

#include <algorithm>
#include <utility>

#include "core/ceil_div.h"
#include "core/error.h"
#include "core/kernels.h"
#include "cuda/device/stream.h"
#include "cuda/kernel/shared.h"

namespace moe::cuda {

// Launches the kernels of one call. While it lives, it holds a frame of the stream's arena, and the stream's GPU is
// current.
class Launcher {
 public:
  // `name` names the kernels in messages; by default the calling function.
  explicit Launcher(Stream& stream, const char* name = __builtin_FUNCTION())
      : stream_(static_cast<CudaStream&>(stream)), call_(stream_), frame_(stream_.arena()), name_(name) {}

  // Launches kernel<<<grid, block, shared_bytes>>>(arguments...). No parameter may be a reference. An empty grid
  // launches nothing.
  template <typename... Parameters, typename... Arguments>
  void operator()(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, Arguments&&... arguments) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
    if (shared_bytes > stream_.gpu().most_shared_bytes()) {
      fail(MOE_UNSUPPORTED, name_, " needs ", shared_bytes, " bytes of shared memory a block, this GPU has ",
           stream_.gpu().most_shared_bytes());
    }
    if (shared_bytes > kSharedWithoutAsking) {
      stream_.gpu().allow_shared_bytes(reinterpret_cast<const void*>(kernel), shared_bytes);
    }
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream_.handle();
    stream_.launched(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), name_);
  }

  // Device memory for the kernels of this call.
  template <typename Value>
  Value* take(int64_t count) const {
    return stream_.arena().take<Value>(count);
  }

  // `count` counters for is_last_block(). If the stream has fewer, they are scratch memory cleared by a launch.
  unsigned* tickets(int64_t count) const {
    if (count <= CudaStream::kTickets) return stream_.tickets();
    auto* cleared = take<unsigned>(count);
    require(cudaMemsetAsync(cleared, 0, static_cast<size_t>(count) * sizeof(unsigned), handle()), "clearing counters");
    return cleared;
  }

  CudaStream& stream() const { return stream_; }
  cudaStream_t handle() const { return stream_.handle(); }
  Refusal refusal() const { return stream_.refusal(); }
  int processors() const { return stream_.gpu().processors(); }
  int architecture() const { return stream_.gpu().architecture(); }

  // Blocks of a grid-stride loop over `count` items, `each` per block: at most `waves` per multiprocessor.
  unsigned blocks(int64_t count, int64_t each, int waves = 8) const {
    return static_cast<unsigned>(std::min(ceil_div(count, each), static_cast<int64_t>(processors()) * waves));
  }

 private:
  // Dynamic shared memory that needs no attribute of the kernel: 48 KiB less room for static shared memory.
  static constexpr size_t kSharedWithoutAsking = 32 << 10;

  CudaStream& stream_;
  const CudaStream::CallScope call_;
  const Arena::Frame frame_;
  const char* name_;
};

}  // namespace moe::cuda
