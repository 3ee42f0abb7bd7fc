// A CUDA stream, and what its kernels refused.
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <vector>

#include "core/stream.h"
#include "cuda/device.h"

namespace moe::cuda {

// How a kernel says that a value it read cannot be right: it raises the flag and goes on without that value.
class Refusal {
 public:
  explicit Refusal(int* flag) : flag_(flag) {}
  __device__ void raise() const { *flag_ = 1; }
  int* flag() const { return flag_; }

 private:
  int* flag_;  // pinned memory of the host
};

// The host's checks of values that the kernels of some calls read. One throws the words for what it finds.
using Checks = std::vector<std::function<void()>>;

class CudaGraph final : public Graph {
 public:
  // Takes the captured launches over.
  CudaGraph(std::shared_ptr<Stream> stream, cudaGraph_t captured, Checks checks);
  ~CudaGraph() override;
  cudaGraphExec_t executable() const { return executable_; }
  const std::shared_ptr<const Checks>& checks() const { return checks_; }

 private:
  cudaGraphExec_t executable_ = nullptr;
  const std::shared_ptr<const Checks> checks_;  // shared with the launches that may yet need them
};

// Kernels run behind the caller's back. A value that one refuses is reported by the call that notices: the next one on
// the stream, or synchronize(). With PANAMOE_CUDA_SYNCHRONOUS=1 every kernel is waited for: the guilty call reports.
class CudaStream final : public Stream {
 public:
  static constexpr size_t kAlignment = 256;  // of what cudaMalloc returns

  CudaStream(std::shared_ptr<Device> device, CudaDevice& card);
  ~CudaStream() override;

  CudaDevice& card() const { return card_; }
  cudaStream_t handle() const { return handle_; }
  Refusal refusal() const { return Refusal(refused_); }

  // A call, which may make others. The thread holds mutex() all the while: whoever waits sees all of its kernels with
  // all of their checks, or none.
  class Call {
   public:
    explicit Call(CudaStream& stream);
    ~Call() { --stream_.depth_; }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    CudaStream& stream_;
  };

  // What follows is for the time of a call.
  // Keeps the host's checks of the values that coming kernels read. Where a kernel refuses one, they find the words.
  void keep_checks(std::function<void()> checks);
  // After a launch: throws if it failed, or if anything was refused by now.
  void launched(cudaError_t error, const char* what);

  void begin_graph() override;
  std::shared_ptr<Graph> end_graph(std::shared_ptr<Stream> self) override;
  void launch_graph(Graph& graph) override;
  void synchronize() override;
  bool finished() override;
  void* native() override;

 private:
  // Checks that a launch has made necessary, with the card's count of releases then: once memory has gone back to the
  // system, a tensor that was given before may be in it.
  struct Pending {
    std::function<void()> check;
    int64_t releases;
  };

  void report_refusal();

  CudaDevice& card_;
  cudaStream_t handle_ = nullptr;
  int* refused_ = nullptr;
  const bool synchronous_;
  int depth_ = 0;  // of calls
  bool capturing_ = false;
  std::vector<Pending> pending_;  // since the last synchronize, oldest first
  Checks captured_checks_;        // of the calls since begin_graph
};

}  // namespace moe::cuda
