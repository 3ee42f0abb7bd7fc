#include "simt/gpu.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "core/error.h"
#include "simt/counters.h"
#include "simt/outcome.h"

using simt::kGpus;

namespace {

constexpr size_t kSharedWithoutAsking = 48 << 10;
thread_local int gpu = 0;

// Bytes per block that a kernel can request (CUDA programming guide, technical specifications).
const std::map<int, size_t>& limits() {
  static const std::map<int, size_t> bytes{{80, 163 << 10}, {86, 99 << 10}, {90, 227 << 10}, {100, 227 << 10}};
  return bytes;
}

std::mutex attributes_mutex;
std::map<std::pair<int, const void*>, size_t>& asked_bytes() {
  static std::map<std::pair<int, const void*>, size_t> bytes;  // per GPU and kernel
  return bytes;
}

}  // namespace

namespace simt {

int current_gpu() { return gpu; }

int architecture() {
  const char* text = std::getenv("PANAMOE_SIMT_ARCH");
  if (text == nullptr) return 80;
  for (const auto& [number, bytes] : limits()) {
    if (std::to_string(number) == text) return number;
  }
  moe::invalid("PANAMOE_SIMT_ARCH is '", text, "', expected 80, 86, 90 or 100");
}

bool allows_shared_bytes(const void* kernel, size_t bytes) {
  std::lock_guard lock(attributes_mutex);
  const auto asked = asked_bytes().find({gpu, kernel});
  return bytes <= (asked == asked_bytes().end() ? kSharedWithoutAsking : asked->second);
}

size_t most_shared_bytes(const void* kernel) {
  std::lock_guard lock(attributes_mutex);
  return asked_bytes().contains({gpu, kernel}) ? limits().at(architecture()) : kSharedWithoutAsking;
}

}  // namespace simt

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  SIMT_OUTCOME();
  *count = kGpus;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  SIMT_OUTCOME();
  if (device < 0 || device >= kGpus) return cudaErrorInvalidDevice;
  const int architecture = simt::architecture();
  *properties = {};
  std::snprintf(properties->name, sizeof(properties->name), "emulated CUDA device");
  properties->major = architecture / 10;
  properties->minor = architecture % 10;
  properties->multiProcessorCount = simt::kCounted ? 132 : 4;
  properties->sharedMemPerBlockOptin = limits().at(architecture);
  properties->concurrentManagedAccess = 1;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  SIMT_OUTCOME();
  if (device < 0 || device >= kGpus) return cudaErrorInvalidDevice;
  gpu = device;
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  SIMT_OUTCOME();
  *attributes = {.sharedSizeBytes = 1};
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
  SIMT_OUTCOME();
  if (value < 0 || static_cast<size_t>(value) > limits().at(simt::architecture())) {
    return cudaErrorInvalidValue;
  }
  std::lock_guard lock(attributes_mutex);
  asked_bytes()[{gpu, kernel}] = static_cast<size_t>(value);
  return cudaSuccess;
}
