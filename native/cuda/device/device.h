// An NVIDIA GPU as a device: its properties and its memory.
#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <mutex>

#include "core/device.h"
#include "core/memory_blocks.h"
#include "cuda/device/runtime_kernels.h"

namespace moe::cuda {

// Throws Error if `error` is not cudaSuccess: MOE_OUT_OF_MEMORY, MOE_UNSUPPORTED or MOE_DEVICE_FAILED. The message
// begins with `what`, the action that failed.
void require(cudaError_t error, const char* what);

// An NVIDIA GPU. The host cannot access its memory, except with PANAMOE_CUDA_MANAGED=1: managed memory resides on the
// GPU as long as there is room, and the host may access it while no kernel uses it. Freed blocks are kept for reuse.
// Thread-safe.
class CudaDevice final : public Device {
 public:
  // Throws Error if there is no driver, an old one, no GPU with this ordinal, one older than sm_80, or if
  // PANAMOE_CUDA_MEMORY_LIMIT or PANAMOE_CUDA_MANAGED is malformed. Makes the GPU current for the thread.
  static std::shared_ptr<Device> open(int ordinal);
  ~CudaDevice() override;

  const Kernels& kernels() const override;
  void describe(moe_device_info& info) const override;
  int default_threads() const override { return 1; }
  std::shared_ptr<Stream> create_stream(std::shared_ptr<Device> self, int threads) override;
  void* allocate(int64_t bytes) override;
  void free(void* memory) override;
  void trim() override;
  moe_memory_usage memory_usage() const override;
  void install(const moe_runtime_kernel& kernel, const void* image, int64_t bytes) override;
  bool has_custom_activation() const override;
  const RuntimeKernels& runtime_kernels() const { return runtime_kernels_; }

  // Makes this GPU current for the calling thread.
  void make_current() const;
  // Streaming multiprocessors.
  int processors() const { return properties_.multiProcessorCount; }
  // 80, 90, ...
  int architecture() const { return properties_.major * 10 + properties_.minor; }
  // Number of times that memory was released to the system.
  int64_t releases() const { return releases_; }
  // While the lock is held, no thread can allocate, free or release memory of this GPU.
  std::unique_lock<std::mutex> hold_memory() const { return std::unique_lock(mutex_); }
  size_t most_shared_bytes() const { return properties_.sharedMemPerBlockOptin; }
  // Bytes that the process may use.
  int64_t most_memory_bytes() const { return limit_; }
  // Raises a kernel's limit of dynamic shared memory to at least `bytes`. Never lowers it: other threads and captured
  // graphs may launch the kernel.
  void allow_shared_bytes(const void* kernel, size_t bytes) const;

 private:
  CudaDevice(int ordinal, const cudaDeviceProp& properties, bool managed, int64_t limit);
  cudaError_t ask_for(size_t size, void*& memory) const;
  void release_kept();

  const int ordinal_;
  const char* const title_;  // for messages
  const cudaDeviceProp properties_;
  const bool managed_;
  const int64_t limit_;  // bytes that may be in use and cached together
  RuntimeKernels runtime_kernels_;
  mutable std::mutex mutex_;
  MemoryBlocks blocks_;
  std::atomic<int64_t> releases_{0};
};

}  // namespace moe::cuda
