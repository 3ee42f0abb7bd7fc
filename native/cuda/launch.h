// One ABI call's launches on a CUDA stream.
#pragma once

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/kernels.h"
#include "cuda/stream.h"

// extern __shared__ of a kernel, aligned to 128 bytes.
#if defined(MOE_SIMT)
#define MOE_DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(::simt::Block::current().shared())
#else
#define MOE_DYNAMIC_SHARED(type, name)                               \
  extern __shared__ __align__(128) unsigned char moe_shared_bytes[]; \
  type* name = reinterpret_cast<type*>(moe_shared_bytes)
#endif

namespace moe::cuda {

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

class Launch {
 public:
  // `name` is what messages call the kernels: the caller's own name.
  explicit Launch(Stream& stream, const char* name = __builtin_FUNCTION())
      : stream_(static_cast<CudaStream&>(stream)), call_(stream_), frame_(stream_.arena()), name_(name) {}

  // Launches kernel<<<grid, block, shared_bytes>>>(arguments...), of which none may be a reference. An empty grid does
  // nothing.
  template <typename... Parameters, typename... Arguments>
  void operator()(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, Arguments&&... arguments) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
    if (shared_bytes > stream_.card().most_shared_bytes()) {
      fail(MOE_UNSUPPORTED, name_, " needs ", shared_bytes, " bytes of shared memory a block, this card has ",
           stream_.card().most_shared_bytes());
    }
    if (shared_bytes > kSharedWithoutAsking) {
      stream_.card().allow_shared_bytes(reinterpret_cast<const void*>(kernel), shared_bytes);
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

  CudaStream& stream() const { return stream_; }
  cudaStream_t handle() const { return stream_.handle(); }
  Refusal refusal() const { return stream_.refusal(); }
  int processors() const { return stream_.card().processors(); }
  int architecture() const { return stream_.card().architecture(); }

  // Blocks for `count` items of which a block takes `each`, striding: at most `waves` times the multiprocessors.
  unsigned blocks(int64_t count, int64_t each, int waves = 8) const {
    return static_cast<unsigned>(std::min(ceil_div(count, each), static_cast<int64_t>(processors()) * waves));
  }

 private:
  // Of the 48 KiB that a block may have unasked, static shared memory takes a part.
  static constexpr size_t kSharedWithoutAsking = 32 << 10;

  CudaStream& stream_;
  const CudaStream::Call call_;
  const Arena::Frame frame_;
  const char* name_;
};

}  // namespace moe::cuda
