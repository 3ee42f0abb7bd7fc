// A CUDA card as a device: what it is, and its memory.
#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <mutex>

#include "core/device.h"
#include "core/memory_blocks.h"
#include "cuda/runtime_kernels.h"

namespace moe::cuda {

// Throws what `error` means for the caller: out of memory, or a device that has failed. `what` was being done.
void require(cudaError_t error, const char* what);

// Memory is managed: kernels work on it where it lies, at home on the card, and the host may read and write it between
// kernels. Blocks are kept for reuse. Thread-safe.
class CudaDevice final : public Device {
 public:
  // Refuses a machine without a driver, with too old a driver, without a card, or with one older than sm_80.
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

  // Makes this the card of the calling thread.
  void make_current() const;
  // Streaming multiprocessors.
  int processors() const { return properties_.multiProcessorCount; }
  // 80, 90, ...
  int architecture() const { return properties_.major * 10 + properties_.minor; }
  // How often memory went back to the system.
  int64_t releases() const { return releases_; }
  // While the lock lives no memory goes back to the system, and none can be had.
  std::unique_lock<std::mutex> hold_memory() const { return std::unique_lock(mutex_); }
  size_t most_shared_bytes() const { return properties_.sharedMemPerBlockOptin; }
  // Lets launches of a kernel have so much dynamic shared memory from now on, or more if more was asked for before:
  // the bound is the kernel's, so that other threads and recorded graphs count on it.
  void allow_shared_bytes(const void* kernel, size_t bytes) const;

 private:
  CudaDevice(int ordinal, const cudaDeviceProp& properties, int64_t limit);
  void release_kept();

  const int ordinal_;
  const cudaDeviceProp properties_;
  const int64_t limit_;  // bytes that may be in use and cached together
  RuntimeKernels runtime_kernels_;
  mutable std::mutex mutex_;
  MemoryBlocks blocks_;
  std::atomic<int64_t> releases_{0};
};

}  // namespace moe::cuda
