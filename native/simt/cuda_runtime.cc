#include <cuda_runtime.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "simt/outcome.h"

namespace {

constexpr int kVersion = 13000;

// A failure that a test asked for: a function returns this error after `skip` more calls.
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
thread_local cudaError_t lost = cudaSuccess;  // like on a GPU, all calls fail after a kernel has failed

uint64_t process_seed() {
  static const uint64_t seed = [] {
    uint64_t number = 1;
    if (const char* text = std::getenv("PANAMOE_SIMT_SEED")) std::from_chars(text, text + std::strlen(text), number);
    return number;
  }();
  return seed;
}

}  // namespace

// Makes the CUDA function fail with this error after `skip` successful calls. For tests.
extern "C" __attribute__((visibility("default"))) void simt_fail(const char* function, int error, int skip) {
  std::lock_guard lock(failures_mutex);
  failures()[function] = {static_cast<cudaError_t>(error), skip};
}

namespace simt {

uint64_t next_seed() { return process_seed() * 0x9e3779b97f4a7c15u + launches++; }

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

cudaError_t lose(const char* failure) {
  launch_failure = failure;
  return lost = cudaErrorLaunchFailure;
}

}  // namespace simt

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

cudaError_t cudaDeviceSynchronize() { return simt::outcome(__func__); }

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInsufficientDriver: return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorDevicesUnavailable: return "CUDA-capable device(s) is/are busy or unavailable";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorInvalidKernelImage: return "device kernel image is invalid";
    case cudaErrorInvalidResourceHandle: return "invalid resource handle";
    case cudaErrorSymbolNotFound: return "named symbol not found";
    case cudaErrorNotReady: return "device not ready";
    case cudaErrorNoKernelImageForDevice: return "no kernel image is available for execution on the device";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
    case cudaErrorLaunchFailure: return launch_failure.c_str();
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated: return "operation failed due to a previous error during capture";
  }
  return "unrecognized error code";
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorDevicesUnavailable: return "cudaErrorDevicesUnavailable";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorInvalidKernelImage: return "cudaErrorInvalidKernelImage";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorSymbolNotFound: return "cudaErrorSymbolNotFound";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorNoKernelImageForDevice: return "cudaErrorNoKernelImageForDevice";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
  }
  return "unrecognized error code";
}
