// A CUDA stream, its scratch memory, and what its kernels refused.
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <mutex>
#include <vector>

#include "cuda/device.h"
#include "src/stream.h"

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

// The host's checks of values that kernels read, each with the card's count of releases when its call was made: once
// memory has gone back to the system, a tensor given before may be in it.
struct Check {
  std::function<void()> run;
  int64_t releases;
};
using Checks = std::vector<Check>;

class CudaGraph final : public Graph {
 public:
  // Takes the captured launches over.
  CudaGraph(std::shared_ptr<Stream> stream, cudaGraph_t captured, Checks checks);
  ~CudaGraph() override;
  cudaGraphExec_t executable() const { return executable_; }
  const Checks& checks() const { return checks_; }

 private:
  cudaGraphExec_t executable_ = nullptr;
  const Checks checks_;
};

// Kernels run behind the caller's back. A value that one refuses is reported by the call that notices: the next one on
// the stream, or synchronize(). With PANAMOE_CUDA_SYNCHRONOUS=1 every kernel is waited for: the guilty call reports.
class CudaStream final : public Stream {
 public:
  static constexpr int kScratchSlots = 9;  // the last one is the custom activation's

  CudaStream(std::shared_ptr<Device> device, CudaDevice& card);
  ~CudaStream() override;

  CudaDevice& card() const { return card_; }
  cudaStream_t handle() const { return handle_; }
  Refusal refusal() const { return Refusal(refused_); }

  // Device memory of a kernel's own, contents undefined, aligned to 256; a slot is taken once a call. It grows to the
  // largest request and stays where it is, so that captured launches keep theirs.
  void* scratch(int slot, size_t bytes);

  // Around a call, which may make others. Forgets the checks of calls that were waited for: their tensors may be gone.
  void begin_call() {
    if (synchronous_ && depth_ == 0) checks_.clear();
    ++depth_;
  }
  void end_call() { --depth_; }
  // Keeps the host's checks of the values that coming kernels read. Where a kernel refuses one, they find the words.
  void keep_checks(std::function<void()> checks);
  // After a launch: throws if it failed, or if anything was refused by now.
  void launched(cudaError_t error, const char* kernel);

  void begin_graph() override;
  std::shared_ptr<Graph> end_graph(std::shared_ptr<Stream> self) override;
  void launch_graph(Graph& graph) override;
  void synchronize() override;
  bool finished() override;
  void* native() override;

 private:
  void after_launch(cudaError_t error, const char* what);
  void report_refusal();

  CudaDevice& card_;
  cudaStream_t handle_ = nullptr;
  int* refused_ = nullptr;
  const bool synchronous_;
  struct Scratch {
    void* memory = nullptr;
    size_t bytes = 0;
  } scratch_[kScratchSlots];
  std::vector<void*> outgrown_;
  bool capturing_ = false;
  int depth_ = 0;  // of calls
  std::mutex mutex_;        // of what follows: another thread may synchronize
  Checks checks_;           // of the calls since the last synchronize, oldest first
  Checks captured_checks_;  // of the calls since begin_graph
};

}  // namespace moe::cuda
