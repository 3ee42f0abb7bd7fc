// Memory of the process's GPUs that is freed once no collective is under way.
#pragma once

#include <cuda_runtime.h>

#include <mutex>
#include <vector>

namespace moe::cuda {

class CudaStream;

// cudaFree waits for the work of its GPU, and perhaps of others, and may keep other threads from launching meanwhile.
// If these threads are ranks, a collective's kernel would wait for a peer's that is never launched. So memory is freed
// only while no stream that another library was given, such as NCCL, has work. Thread-safe.
class Frees {
 public:
  using Free = cudaError_t(void* memory);

  static Frees& of_process();

  // From now on the stream's work may be a collective.
  void watch(const CudaStream& stream);
  void forget(const CudaStream& stream);
  // Frees memory, now or later. Its work is done, or is in streams of its own GPU.
  void free(void* memory, Free* how = cudaFree);
  // Frees what waits, if no watched stream has work. Returns whether nothing waits any more.
  bool flush();
  // Whether memory waits to be freed.
  bool waits();
  // Waits until nothing waits to be freed, for a bounded time.
  void await();
  // While the lock is held, no stream is asked whether it has work: asking one that captures would break the capture.
  std::unique_lock<std::mutex> hold() { return std::unique_lock(mutex_); }

 private:
  struct Waiting {
    void* memory;
    Free* how;
  };

  std::mutex mutex_;
  std::vector<const CudaStream*> watched_;
  std::vector<Waiting> waiting_;
};

}  // namespace moe::cuda
