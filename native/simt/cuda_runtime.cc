#include <cuda_runtime.h>

#include <sys/sysinfo.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

struct SimtGraph {
  std::vector<std::function<void()>> work;
};

struct SimtStream {
  int card;
  SimtGraph* captured = nullptr;
};

namespace {

constexpr int kCards = 4;
constexpr int kVersion = 13000;
thread_local int current_card = 0;

// Failures that a test has asked for: the error of a function's next call but `skip`.
struct Failure {
  cudaError_t error;
  int skip;
};
std::mutex failures_mutex;
std::map<std::string, Failure>& failures() {
  static std::map<std::string, Failure> map;
  return map;
}
std::atomic<uint64_t> launches{0};
thread_local std::string launch_failure = "unspecified launch failure";
thread_local cudaError_t lost = cudaSuccess;  // as on a device, nothing works after a kernel has failed

cudaError_t outcome(const char* function) {
  std::lock_guard lock(failures_mutex);
  const auto found = failures().find(function);
  if (found == failures().end()) return lost;
  if (found->second.skip-- > 0) return lost;
  const cudaError_t error = found->second.error;
  failures().erase(found);
  if (error == cudaErrorIllegalAddress || error == cudaErrorLaunchFailure) lost = error;
  return error;
}

#define SIMT_OUTCOME()                                                            \
  if (const cudaError_t error = outcome(__func__); error != cudaSuccess) return error

uint64_t process_seed() {
  static const uint64_t seed = [] {
    const char* text = std::getenv("PANAMOE_SIMT_SEED");
    return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
  }();
  return seed;
}

}  // namespace

// The next call but `skip` of the CUDA function fails with this error. For tests of what a user meets then.
extern "C" __attribute__((visibility("default"))) void simt_fail(const char* function, int error, int skip) {
  std::lock_guard lock(failures_mutex);
  failures()[function] = {static_cast<cudaError_t>(error), skip};
}

namespace simt {

uint64_t next_seed() { return process_seed() * 0x9e3779b97f4a7c15u + launches++; }

cudaError_t check_launch(const cudaLaunchConfig_t& config) {
  if (const cudaError_t error = outcome("cudaLaunchKernelExC"); error != cudaSuccess) return error;
  if (config.stream != nullptr && config.stream->card != current_card) return cudaErrorInvalidResourceHandle;
  const uint64_t threads = uint64_t{config.blockDim.x} * config.blockDim.y * config.blockDim.z;
  const bool legal = threads >= 1 && threads <= 1024 && config.gridDim.x >= 1 && config.gridDim.y >= 1 &&
                     config.gridDim.z >= 1 && config.gridDim.x < 1u << 31 && config.gridDim.y < 1u << 16 &&
                     config.gridDim.z < 1u << 16 && config.dynamicSmemBytes <= 227 * 1024;
  return legal ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t enqueue(cudaStream_t stream, std::function<void()> work) {
  if (stream != nullptr && stream->captured != nullptr) {
    stream->captured->work.push_back(std::move(work));
    return cudaSuccess;
  }
  try {
    work();
    return cudaSuccess;
  } catch (const std::exception& failure) {
    launch_failure = failure.what();
    return lost = cudaErrorLaunchFailure;
  }
}

}  // namespace simt

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  SIMT_OUTCOME();
  *count = kCards;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = 0;
  SIMT_OUTCOME();
  *version = kVersion;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kVersion;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  SIMT_OUTCOME();
  if (device < 0 || device >= kCards) return cudaErrorInvalidDevice;
  *properties = {};
  std::snprintf(properties->name, sizeof(properties->name), "emulated CUDA device");
  properties->major = 8;
  properties->minor = 0;
  properties->multiProcessorCount = 4;
  size_t available = 0;
  cudaMemGetInfo(&available, &properties->totalGlobalMem);
  properties->sharedMemPerBlockOptin = 163 * 1024;
  properties->concurrentManagedAccess = 1;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  SIMT_OUTCOME();
  if (device < 0 || device >= kCards) return cudaErrorInvalidDevice;
  current_card = device;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  SIMT_OUTCOME();
  struct sysinfo info {};
  ::sysinfo(&info);
  *total = info.totalram * info.mem_unit;
  *available = info.freeram * info.mem_unit;
  return cudaSuccess;
}

cudaError_t cudaMallocManaged(void** memory, size_t bytes, unsigned) {
  SIMT_OUTCOME();
  return ::posix_memalign(memory, 256, std::max<size_t>(bytes, 1)) == 0 ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  SIMT_OUTCOME();
  return ::posix_memalign(memory, 256, std::max<size_t>(bytes, 1)) == 0 ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFree(void* memory) {
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  SIMT_OUTCOME();
  return ::posix_memalign(memory, 256, std::max<size_t>(bytes, 1)) == 0 ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeHost(void* memory) {
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaMemAdvise(const void*, size_t, cudaMemoryAdvise, cudaMemLocation) { return cudaSuccess; }

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  SIMT_OUTCOME();
  return simt::enqueue(stream, [=] { std::memcpy(to, from, bytes); });
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  SIMT_OUTCOME();
  return simt::enqueue(stream, [=] { std::memset(memory, value, bytes); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  SIMT_OUTCOME();
  *stream = new SimtStream{current_card};
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t) { return outcome(__func__); }
cudaError_t cudaStreamQuery(cudaStream_t) { return outcome(__func__); }
cudaError_t cudaDeviceSynchronize() { return outcome(__func__); }

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInsufficientDriver: return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorInvalidKernelImage: return "device kernel image is invalid";
    case cudaErrorInvalidResourceHandle: return "invalid resource handle";
    case cudaErrorSymbolNotFound: return "named symbol not found";
    case cudaErrorNotReady: return "device not ready";
    case cudaErrorNoKernelImageForDevice: return "no kernel image is available for execution on the device";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
    case cudaErrorLaunchFailure: return launch_failure.c_str();
  }
  return "unrecognized error code";
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorInvalidKernelImage: return "cudaErrorInvalidKernelImage";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorSymbolNotFound: return "cudaErrorSymbolNotFound";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorNoKernelImageForDevice: return "cudaErrorNoKernelImageForDevice";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
  }
  return "unrecognized error code";
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  SIMT_OUTCOME();
  if (stream->captured != nullptr) return cudaErrorInvalidValue;
  stream->captured = new SimtGraph;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = std::exchange(stream->captured, nullptr);
  return *graph == nullptr ? cudaErrorInvalidValue : cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  SIMT_OUTCOME();
  *executable = new SimtGraph(*graph);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  SIMT_OUTCOME();
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
