// Streams and graphs of the emulation.
#include <cuda_runtime.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "simt/counters.h"
#include "simt/gpu.h"
#include "simt/memory.h"
#include "simt/outcome.h"
#include "simt/queue.h"

struct SimtGraph {
  SimtGraph() { ++alive; }
  SimtGraph(const SimtGraph& other) : work(other.work) { ++alive; }
  ~SimtGraph() { --alive; }

  std::vector<std::function<void()>> work;
  static inline std::atomic<int> alive{0};
};

struct SimtStream {
  explicit SimtStream(int its_gpu) : gpu(its_gpu), queue(std::make_shared<simt::Queue>(its_gpu)) {}
  ~SimtStream() { queue->close(); }

  const int gpu;
  std::unique_ptr<SimtGraph> captured;
  bool broken = false;  // the capture is invalid, because of a call that captures do not allow
  const std::shared_ptr<simt::Queue> queue;
};

// The work that a stream had when the event was recorded.
struct SimtEvent {
  std::shared_ptr<simt::Queue> queue;
  uint64_t given = 0;
};

namespace {

std::atomic<uint64_t> launches{0}, waits{0}, copies{0};
std::function<void()> before_launch;

// Counts a call that gives the GPU work. A captured call gives it none yet.
void count(std::atomic<uint64_t>& calls, cudaStream_t stream) {
  if (stream == nullptr || stream->captured == nullptr) ++calls;
}

cudaError_t run(const std::function<void()>& work) {
  const simt::MemoryAccess access;
  try {
    work();
    return cudaSuccess;
  } catch (const std::exception& failure) {
    return simt::lose(failure.what());
  }
}

// Called by functions that are not allowed during a capture; invalidates it.
bool breaks_capture(cudaStream_t stream) { return stream->broken = stream->captured != nullptr; }

}  // namespace

// Gives a stream work of the host, for libraries that replace NCCL.
extern "C" __attribute__((visibility("default"))) void simt_enqueue(cudaStream_t stream, std::function<void()> work) {
  simt::enqueue(stream, std::move(work));
}

// Runs `action` once, on the thread that launches the next kernel, before the launch. For tests.
extern "C" __attribute__((visibility("default"))) void simt_before_launch(std::function<void()> action) {
  before_launch = std::move(action);
}

// The number of graphs, captured and executable ones. For tests.
extern "C" __attribute__((visibility("default"))) int simt_graphs() { return SimtGraph::alive; }

// Bytes that kernels have read by __ldg. For tests.
extern "C" __attribute__((visibility("default"))) uint64_t simt_bytes_loaded() { return simt::bytes_loaded; }

// Returns three counts: calls that gave the GPUs work (kernels, graphs, copies on a GPU); waits of the host for a GPU;
// copies between host and GPU. For tests.
extern "C" __attribute__((visibility("default"))) void simt_work(uint64_t* counts) {
  counts[0] = launches;
  counts[1] = waits;
  counts[2] = copies;
}

namespace simt {

cudaError_t check_launch(const cudaLaunchConfig_t& config, const void* kernel, Shape& shape) {
  if (before_launch) std::exchange(before_launch, nullptr)();
  if (const cudaError_t error = outcome("cudaLaunchKernelExC"); error != cudaSuccess) return error;
  if (config.stream != nullptr && config.stream->gpu != current_gpu()) return cudaErrorInvalidResourceHandle;
  count(launches, config.stream);
  if (config.numAttrs > 0) return lose("a launch attribute: the emulation has no clusters of blocks");
  shape = {config.gridDim, config.blockDim, config.dynamicSmemBytes, most_shared_bytes(kernel)};
  const uint64_t threads = uint64_t{config.blockDim.x} * config.blockDim.y * config.blockDim.z;
  const bool legal = threads >= 1 && threads <= 1024 && config.gridDim.x >= 1 && config.gridDim.y >= 1 &&
                     config.gridDim.z >= 1 && config.gridDim.x < 1u << 31 && config.gridDim.y < 1u << 16 &&
                     config.gridDim.z < 1u << 16 && allows_shared_bytes(kernel, config.dynamicSmemBytes);
  return legal ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t enqueue(cudaStream_t stream, std::function<void()> work) {
  if (stream != nullptr && stream->captured != nullptr) {
    stream->captured->work.push_back(std::move(work));
    return cudaSuccess;
  }
  if (stream != nullptr) return stream->queue->give(std::move(work));
  return run(work);
}

}  // namespace simt

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  SIMT_OUTCOME();
  count(kind == cudaMemcpyDefault ? launches : copies, stream);
  return simt::enqueue(stream, [=] {
    if constexpr (simt::kCounted) {
      if (kind == cudaMemcpyDefault) simt::count_moved(to, from, bytes);
    }
    std::memcpy(to, from, bytes);
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  SIMT_OUTCOME();
  ++copies;
  return run([=] { std::memcpy(to, from, bytes); });
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  SIMT_OUTCOME();
  count(launches, stream);
  return simt::enqueue(stream, [=] {
    if constexpr (simt::kCounted) simt::count_moved(memory, nullptr, bytes);
    std::memset(memory, value, bytes);
  });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  SIMT_OUTCOME();
  *stream = new SimtStream(simt::current_gpu());
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  SIMT_OUTCOME();
  if (breaks_capture(stream)) return cudaErrorStreamCaptureUnsupported;
  ++waits;
  return stream->queue->finish(stream->queue->given());
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  SIMT_OUTCOME();
  if (breaks_capture(stream)) return cudaErrorStreamCaptureUnsupported;
  return stream->queue->finished() ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  SIMT_OUTCOME();
  *event = new SimtEvent;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  SIMT_OUTCOME();
  *event = {stream->queue, stream->queue->given()};
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  SIMT_OUTCOME();
  if (event->queue == nullptr) return cudaSuccess;
  return simt::enqueue(stream, [recorded = *event] { recorded.queue->finish(recorded.given); });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  SIMT_OUTCOME();
  if (event->queue == nullptr) return cudaSuccess;
  ++waits;
  return event->queue->finish(event->given);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  SIMT_OUTCOME();
  if (stream->captured != nullptr) return cudaErrorInvalidValue;
  stream->captured = std::make_unique<SimtGraph>();
  stream->broken = false;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const bool broken = std::exchange(stream->broken, false) || simt::outcome(__func__) != cudaSuccess;
  std::unique_ptr<SimtGraph> captured = std::exchange(stream->captured, nullptr);
  *graph = broken ? nullptr : captured.release();
  return broken ? cudaErrorStreamCaptureInvalidated : *graph == nullptr ? cudaErrorInvalidValue : cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  SIMT_OUTCOME();
  *executable = new SimtGraph(*graph);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  SIMT_OUTCOME();
  count(launches, stream);
  for (const auto& work : executable->work) {
    if (const cudaError_t error = simt::enqueue(stream, work); error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
