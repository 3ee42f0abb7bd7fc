#include "cuda/device/stream.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "cuda/device/frees.h"
#include "cuda/device/setting.h"

namespace moe::cuda {
namespace {

constexpr size_t kMostPending = 256;  // checks; beyond it the older half is dropped

// The emulation runs a kernel inside its launch, so waiting costs nothing.
#if defined(MOE_SIMT)
constexpr bool kSynchronousByDefault = true;
#else
constexpr bool kSynchronousByDefault = false;
#endif

}  // namespace

CudaStream::CudaStream(std::shared_ptr<Device> device, CudaDevice& gpu)
    : Stream(std::move(device), kAlignment, true),
      gpu_(gpu),
      synchronous_(setting("PANAMOE_CUDA_SYNCHRONOUS").value_or(kSynchronousByDefault)) {
  require(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "creating a stream");
  void* memory = nullptr;
  const cudaError_t error = cudaHostAlloc(&memory, sizeof(int), cudaHostAllocMapped);
  if (error != cudaSuccess) cudaStreamDestroy(handle_);
  require(error, "allocating pinned memory");
  refused_ = static_cast<int*>(memory);
  *refused_ = 0;
  try {
    constexpr size_t kBytes = kTickets * sizeof(unsigned);
    require(cudaMalloc(&memory, kBytes), "allocating counters");
    tickets_ = static_cast<unsigned*>(memory);
    require(cudaMemsetAsync(tickets_, 0, kBytes, handle_), "clearing counters");
  } catch (...) {
    release();
    throw;
  }
}

CudaStream::~CudaStream() {
  cudaStreamSynchronize(handle_);
  Frees::of_process().forget(*this);
  release();
}

void CudaStream::release() {
  for (const cudaEvent_t event : events_) {
    if (event != nullptr) cudaEventDestroy(event);
  }
  cudaStreamDestroy(handle_);
  Frees::of_process().free(refused_, cudaFreeHost);
  Frees::of_process().free(tickets_);
}

CudaStream::CallScope::CallScope(CudaStream& stream) : stream_(stream) {
  stream_.gpu_.make_current();
  // Earlier calls are complete; their tensors may be gone.
  if (stream_.synchronous_ && stream_.depth_ == 0) stream_.pending_.clear();
  ++stream_.depth_;
}

void CudaStream::keep_checks(std::function<void()> checks) {
  if (capturing_) {
    captured_checks_.push_back(std::move(checks));
    return;
  }
  if (pending_.size() == kMostPending) pending_.erase(pending_.begin(), pending_.begin() + kMostPending / 2);
  pending_.push_back({std::move(checks), gpu_.releases()});
}

void CudaStream::launched(cudaError_t error, const char* what) {
  require(error, what);
  if (capturing_) return;  // nothing has run
  if (synchronous_) require(cudaStreamSynchronize(handle_), what);
  if (*static_cast<volatile int*>(refused_) != 0) report_refusal();
}

void CudaStream::write(const void* host, int64_t bytes, void* memory) {
  const CallScope call(*this);
  if (capturing_) {
    invalid("the stream is between moe_graph_begin and moe_graph_end, and a graph keeps no values of the host");
  }
  for (int64_t done = 0; done < bytes;) {
    const int64_t size = std::min(bytes - done, Staging::kPartBytes);
    char* staged = staging_.next(size, handle_);
    std::memcpy(staged, static_cast<const char*>(host) + done, static_cast<size_t>(size));
    launched(cudaMemcpyAsync(static_cast<char*>(memory) + done, staged, static_cast<size_t>(size),
                             cudaMemcpyHostToDevice, handle_),
             "writing memory");
    done += size;
  }
}

void CudaStream::read(const void* memory, int64_t bytes, void* host) {
  gpu_.make_current();
  require_running();
  int64_t done = 0;
  do {
    const int64_t size = std::min(bytes - done, Staging::kBytes);
    if (size > 0) {
      require(cudaMemcpyAsync(staging_.all(), static_cast<const char*>(memory) + done, static_cast<size_t>(size),
                              cudaMemcpyDeviceToHost, handle_),
              "reading memory");
    }
    synchronize();
    if (size > 0) std::memcpy(static_cast<char*>(host) + done, staging_.all(), static_cast<size_t>(size));
    done += size;
  } while (done < bytes);
}

void CudaStream::zero(void* memory, int64_t bytes) {
  const CallScope call(*this);
  if (bytes > 0) launched(cudaMemsetAsync(memory, 0, static_cast<size_t>(bytes), handle_), "zeroing memory");
}

void CudaStream::synchronize() {
  gpu_.make_current();
  require_running();
  require(cudaStreamSynchronize(handle_), "waiting for the stream");
  if (*refused_ != 0) report_refusal();
  pending_.clear();
  arena().merge();
}

void CudaStream::require_running() const {
  if (capturing_) {
    invalid("the stream is between moe_graph_begin and moe_graph_end, nothing has run that could be awaited");
  }
}

bool CudaStream::finished() {
  gpu_.make_current();
  if (capturing_) return false;  // a query would invalidate the capture
  const cudaError_t error = cudaStreamQuery(handle_);
  if (error == cudaErrorNotReady) return false;
  require(error, "asking the stream");
  return true;
}

int64_t CudaStream::mark() {
  gpu_.make_current();
  require_running();
  cudaEvent_t& marked = event(marks_ + 1);
  if (marked == nullptr) require(cudaEventCreateWithFlags(&marked, cudaEventDisableTiming), "making an event");
  require(cudaEventRecord(marked, handle_), "marking a stream");
  return ++marks_;
}

void CudaStream::wait(Stream& other, int64_t mark) {
  gpu_.make_current();
  auto& marked = static_cast<CudaStream&>(other);
  require_running();
  marked.require_running();
  if (mark < 1 || mark > marked.marks_) {
    invalid("mark is ", mark, ", but the other stream has given ", marked.marks_, " marks");
  }
  require(cudaStreamWaitEvent(handle_, marked.event(mark), 0), "waiting for another stream");
}

void* CudaStream::native() {
  gpu_.make_current();
  Frees::of_process().watch(*this);
  return handle_;
}

void CudaStream::report_refusal() {
  require(cudaStreamSynchronize(handle_), "waiting for the stream");
  *refused_ = 0;
  const std::vector<Pending> pending = std::exchange(pending_, {});
  const auto held = gpu_.hold_memory();  // no other thread may release memory that a check reads
  for (const auto& [check, releases] : pending) {
    if (releases == gpu_.releases()) check();  // the first one that throws names the value
  }
  invalid(
      "an earlier call was given a value out of range, which has changed since; "
      "PANAMOE_CUDA_SYNCHRONOUS=1 reports such a value with its call");
}

void CudaStream::begin_graph() {
  gpu_.make_current();
  if (capturing_) invalid("the stream has begun a graph already");
  const auto unasked = Frees::of_process().hold();
  require(cudaStreamBeginCapture(handle_, cudaStreamCaptureModeRelaxed), "beginning a graph");
  capturing_ = true;
  captured_checks_.clear();
}

std::shared_ptr<Graph> CudaStream::end_graph(std::shared_ptr<Stream> self) {
  gpu_.make_current();
  if (!capturing_) invalid("the stream has not begun a graph");
  cudaGraph_t captured = nullptr;
  cudaError_t error = cudaSuccess;
  {
    const auto unasked = Frees::of_process().hold();
    capturing_ = false;
    error = cudaStreamEndCapture(handle_, &captured);
  }
  if (self == nullptr) {
    if (captured != nullptr) cudaGraphDestroy(captured);
    return nullptr;
  }
  require(error, "ending a graph");
  const auto graph = std::make_shared<CudaGraph>(std::move(self), captured, std::move(captured_checks_));
  arena().pin();
  return graph;
}

void CudaStream::launch_graph(Graph& graph) {
  const CallScope call(*this);
  const auto& launch = static_cast<CudaGraph&>(graph);
  keep_checks([checks = launch.checks()] {
    for (const auto& check : *checks) check();
  });
  launched(cudaGraphLaunch(launch.executable(), handle_), "launching a graph");
}

CudaGraph::CudaGraph(std::shared_ptr<Stream> stream, cudaGraph_t captured, Checks checks)
    : Graph(std::move(stream)), checks_(std::make_shared<const Checks>(std::move(checks))) {
  const cudaError_t error = cudaGraphInstantiate(&executable_, captured, 0);
  cudaGraphDestroy(captured);
  require(error, "making a graph");
}

CudaGraph::~CudaGraph() { cudaGraphExecDestroy(executable_); }

}  // namespace moe::cuda
