// A CUDA stream, and reports of values that its kernels refused.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <functional>
#include <vector>

#include "core/stream.h"
#include "cuda/device/device.h"
#include "cuda/device/staging.h"

namespace moe::cuda {

// A flag that a kernel raises if it reads an illegal value; it then skips the value.
class Refusal {
 public:
  explicit Refusal(int* flag) : flag_(flag) {}
  __device__ void raise() const { *flag_ = 1; }
  int* flag() const { return flag_; }

 private:
  int* flag_;  // pinned memory of the host
};

// The host's checks of values that kernels read. A check throws Error that names the illegal value.
using Checks = std::vector<std::function<void()>>;

class CudaGraph final : public Graph {
 public:
  // Takes ownership of `captured`.
  CudaGraph(std::shared_ptr<Stream> stream, cudaGraph_t captured, Checks checks);
  ~CudaGraph() override;
  cudaGraphExec_t executable() const { return executable_; }
  const std::shared_ptr<const Checks>& checks() const { return checks_; }

 private:
  cudaGraphExec_t executable_ = nullptr;
  const std::shared_ptr<const Checks> checks_;  // shared with pending launches
};

// Kernels run asynchronously. A refused value is reported by a later call on the stream, or by synchronize(). With
// PANAMOE_CUDA_SYNCHRONOUS=1 every launch waits for its kernel, so that the call with the illegal value reports it.
class CudaStream final : public Stream {
 public:
  static constexpr size_t kAlignment = 256;  // bytes; cudaMalloc's alignment
  static constexpr int64_t kTickets = 1024;

  CudaStream(std::shared_ptr<Device> device, CudaDevice& gpu);
  ~CudaStream() override;

  CudaDevice& gpu() const { return gpu_; }
  cudaStream_t handle() const { return handle_; }
  // Between begin_graph and end_graph; changes under the lock of Frees::hold().
  bool capturing() const { return capturing_; }
  Refusal refusal() const { return Refusal(refused_); }
  // kTickets counters for is_last_block(); all are 0 between kernels.
  unsigned* tickets() const { return tickets_; }

  // The scope of a kernel call, which may nest. The thread holds mutex() meanwhile, so a thread that synchronizes sees
  // all kernels and checks of a call, or none.
  class CallScope {
   public:
    explicit CallScope(CudaStream& stream);
    ~CallScope() { --stream_.depth_; }
    CallScope(const CallScope&) = delete;
    CallScope& operator=(const CallScope&) = delete;

   private:
    CudaStream& stream_;
  };

  // Keeps the host's check of values that the next kernels read; it runs if a kernel refuses one. Only within a call.
  void keep_checks(std::function<void()> checks);
  // Called after a launch, within a call. Throws Error if it failed, or if a kernel has refused a value by now.
  void launched(cudaError_t error, const char* what);

  void begin_graph() override;
  std::shared_ptr<Graph> end_graph(std::shared_ptr<Stream> self) override;
  void launch_graph(Graph& graph) override;
  void write(const void* host, int64_t bytes, void* memory) override;
  void read(const void* memory, int64_t bytes, void* host) override;
  void zero(void* memory, int64_t bytes) override;
  void synchronize() override;
  bool finished() override;
  int64_t mark() override;
  void wait(Stream& other, int64_t mark) override;
  void* native() override;

 private:
  // A check, and device().releases() when it was kept. Once memory has been released to the system, the check must not
  // run, because its tensors may have been in it.
  struct Pending {
    std::function<void()> check;
    int64_t releases;
  };

  void release();
  void report_refusal();
  // Refuses to wait between begin_graph and end_graph.
  void require_running() const;

  static constexpr int64_t kMarks = 64;  // events of a stream, reused in turn
  // Events are reused: an old mark may stand for a later one, and its waiter waits longer.
  cudaEvent_t& event(int64_t mark) { return events_[static_cast<size_t>(mark % kMarks)]; }

  CudaDevice& gpu_;
  Staging staging_;
  cudaStream_t handle_ = nullptr;
  int* refused_ = nullptr;
  unsigned* tickets_ = nullptr;
  const bool synchronous_;
  int depth_ = 0;  // nested calls
  bool capturing_ = false;
  std::vector<Pending> pending_;  // checks since the last synchronize, oldest first
  Checks captured_checks_;        // checks of the calls since begin_graph
  std::array<cudaEvent_t, kMarks> events_{};
  int64_t marks_ = 0;  // marks given so far
};

}  // namespace moe::cuda
