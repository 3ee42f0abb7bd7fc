#include "cuda/device/device.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "core/error.h"
#include "cuda/device/frees.h"
#include "cuda/device/kernels.h"
#include "cuda/device/setting.h"
#include "cuda/device/stream.h"

namespace moe::cuda {
namespace {

constexpr int kOldestArchitecture = 80;  // first with bfloat16 products and asynchronous copies

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

void require_driver() {
  int driver = 0, runtime = 0, count = 0;
  const cudaError_t asked = cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (asked != cudaSuccess || driver == 0) {
    fail(MOE_UNSUPPORTED, "no NVIDIA driver: libcuda.so.1 was not found or cannot be used on this machine");
  }
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorInsufficientDriver) {
    fail(MOE_UNSUPPORTED, "the NVIDIA driver serves CUDA ", version_text(driver), ", this library needs CUDA ",
         version_text(runtime), ": update the driver");
  }
  if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0)) {
    fail(MOE_UNSUPPORTED, "the NVIDIA driver finds no GPU (check nvidia-smi and CUDA_VISIBLE_DEVICES)");
  }
  require(error, "counting the GPUs");
}

// PANAMOE_CUDA_MEMORY_LIMIT in bytes; by default the free memory of the current GPU, less 5 % of its total, which is
// left to the driver, kernels and libraries.
int64_t memory_limit() {
  const char* text = std::getenv("PANAMOE_CUDA_MEMORY_LIMIT");
  if (text == nullptr || *text == '\0') {
    size_t available = 0, total = 0;
    require(cudaMemGetInfo(&available, &total), "asking for the GPU's memory");
    return static_cast<int64_t>(available - std::min(available, total / 20));
  }
  int64_t limit = 0;
  const char* end = text + std::strlen(text);
  const auto [read, error] = std::from_chars(text, end, limit);
  if (read != end || error != std::errc() || limit <= 0) {
    invalid("PANAMOE_CUDA_MEMORY_LIMIT is '", text, "', expected a number of bytes above 0");
  }
  return limit;
}

// "GPU 0 (its name): ", which outlives the device.
const char* title(int ordinal, const cudaDeviceProp& properties) {
  static std::mutex mutex;
  static auto* const titles = new std::map<int, std::string>;  // lives longer than the last stream
  std::lock_guard lock(mutex);
  return titles->try_emplace(ordinal, "GPU " + std::to_string(ordinal) + " (" + properties.name + "): ")
      .first->second.c_str();
}

thread_local const char* current_title = "";  // of the GPU that this thread works with

}  // namespace

void require(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  if (error == cudaErrorMemoryAllocation) {
    fail(MOE_OUT_OF_MEMORY, current_title, what, ": the GPU has no memory left");
  }
  if (error == cudaErrorNoKernelImageForDevice) {
    fail(MOE_UNSUPPORTED, current_title, what,
         ": this library holds no kernels for the GPU's architecture; build it for the GPU");
  }
  if (error == cudaErrorDevicesUnavailable) {
    fail(MOE_UNSUPPORTED, current_title, what,
         ": another process holds the GPU, whose compute mode is exclusive or prohibited (nvidia-smi -q -d COMPUTE)");
  }
  fail(MOE_DEVICE_FAILED, current_title, what, ": ", cudaGetErrorString(error), " (", cudaGetErrorName(error),
       "); the GPU's context may be lost, end this process");
}

std::shared_ptr<Device> CudaDevice::open(int ordinal) {
  require_driver();
  int count = 0;
  require(cudaGetDeviceCount(&count), "counting the GPUs");
  if (ordinal < 0 || ordinal >= count) {
    invalid("ordinal is ", ordinal, "; this machine has ", count, count == 1 ? " GPU" : " GPUs");
  }
  cudaDeviceProp properties{};
  require(cudaGetDeviceProperties(&properties, ordinal), "describing the GPU");
  if (properties.major * 10 + properties.minor < kOldestArchitecture) {
    fail(MOE_UNSUPPORTED, "GPU ", ordinal, " (", properties.name, ") is sm_", properties.major, properties.minor,
         ", the kernels need sm_", kOldestArchitecture, " or newer");
  }
  setting("PANAMOE_CUDA_WGMMA");  // refuses a malformed value here, not at the first product
  const bool managed = setting("PANAMOE_CUDA_MANAGED").value_or(false);
  if (managed && !properties.concurrentManagedAccess) {
    fail(MOE_UNSUPPORTED, "GPU ", ordinal, " (", properties.name,
         ") cannot share managed memory with the host on this system: unset PANAMOE_CUDA_MANAGED");
  }
  current_title = title(ordinal, properties);
  require(cudaSetDevice(ordinal), "choosing the GPU");
  return std::shared_ptr<Device>(new CudaDevice(ordinal, properties, managed, memory_limit()));
}

CudaDevice::CudaDevice(int ordinal, const cudaDeviceProp& properties, bool managed, int64_t limit)
    : ordinal_(ordinal),
      title_(title(ordinal, properties)),
      properties_(properties),
      managed_(managed),
      limit_(limit) {}

CudaDevice::~CudaDevice() {
  cudaSetDevice(ordinal_);  // may fail: the GPU has failed, or the driver is gone at the end of the process
  blocks_.release_all([](void* block) { Frees::of_process().free(block); });
  runtime_kernels_.unload();
}

void CudaDevice::make_current() const {
  current_title = title_;
  require(cudaSetDevice(ordinal_), "choosing the GPU");
}

void CudaDevice::allow_shared_bytes(const void* kernel, size_t bytes) const {
  static std::mutex mutex;
  static std::map<std::pair<int, const void*>, size_t>
      allowed;  // outlives this device, because limits belong to the process
  std::lock_guard lock(mutex);
  size_t& most = allowed[{ordinal_, kernel}];
  if (bytes <= most) return;
  require(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
          "asking for shared memory");
  most = bytes;
}

void CudaDevice::describe(moe_device_info& info) const {
  make_current();
  size_t available = 0, total = 0;
  require(cudaMemGetInfo(&available, &total), "asking for the GPU's memory");
  const moe_memory_usage usage = memory_usage();
  info.processors = processors();
  info.memory_total = static_cast<int64_t>(total);
  const int64_t room = limit_ - usage.in_use;
  info.memory_available = managed_ ? room : std::min(room, static_cast<int64_t>(available) + usage.cached);
  info.native_bfloat16 = 1;
  info.vector_bytes = 16;
  info.asynchronous = 1;
  std::snprintf(info.name, sizeof(info.name), "%.95s", properties_.name);
  std::snprintf(info.target, sizeof(info.target), "sm_%d", architecture());
}

std::shared_ptr<Stream> CudaDevice::create_stream(std::shared_ptr<Device> self, int) {
  make_current();
  return std::make_shared<CudaStream>(std::move(self), *this);
}

void CudaDevice::install(const moe_runtime_kernel& kernel, const void* image, int64_t bytes) {
  make_current();
  runtime_kernels_.install(kernel, image, bytes);
}

bool CudaDevice::has_custom_activation() const { return runtime_kernels_.custom_activation() != nullptr; }

void* CudaDevice::allocate(int64_t bytes) {
  if (bytes > limit_) {
    fail(MOE_OUT_OF_MEMORY, bytes, " bytes were asked for, the limit of this device is ", limit_);
  }
  make_current();
  const size_t size = block_bytes(bytes, 256);
  std::lock_guard lock(mutex_);
  if (void* kept = blocks_.reuse(size)) return kept;
  const moe_memory_usage& usage = blocks_.usage();
  if (usage.in_use + usage.cached + static_cast<int64_t>(size) > limit_) release_kept();
  if (usage.in_use + static_cast<int64_t>(size) > limit_) {
    fail(MOE_OUT_OF_MEMORY, size, " bytes were asked for, ", usage.in_use, " of ", limit_, " are in use");
  }
  void* memory = nullptr;
  cudaError_t error = ask_for(size, memory);
  if (error == cudaErrorMemoryAllocation && (usage.cached > 0 || Frees::of_process().waits())) {
    release_kept();
    Frees::of_process().await();
    error = ask_for(size, memory);
  }
  require(error, "allocating memory");
  blocks_.add(memory, size);
  return memory;
}

cudaError_t CudaDevice::ask_for(size_t size, void*& memory) const {
  if (!managed_) return cudaMalloc(&memory, size);
  const cudaError_t error = cudaMallocManaged(&memory, size, cudaMemAttachGlobal);
  if (error == cudaSuccess) {
    cudaMemAdvise(memory, size, cudaMemAdviseSetPreferredLocation,
                  {cudaMemLocationTypeDevice, ordinal_});  // may fail: only speed differs
  }
  return error;
}

void CudaDevice::free(void* memory) {
  std::lock_guard lock(mutex_);
  blocks_.keep(memory);
}

void CudaDevice::trim() {
  make_current();
  std::lock_guard lock(mutex_);
  release_kept();
}

void CudaDevice::release_kept() {
  ++releases_;
  // cudaFree waits for kernels that still use the block.
  blocks_.release_kept([](void* block) { Frees::of_process().free(block); });
  Frees::of_process().flush();
}

moe_memory_usage CudaDevice::memory_usage() const {
  std::lock_guard lock(mutex_);
  return blocks_.usage();
}

}  // namespace moe::cuda

// The two functions that libpanamoe.so looks up in this library (core/plugin.cc).
extern "C" MOE_API int32_t panamoe_backend_version() { return MOE_ABI_VERSION; }

extern "C" MOE_API void panamoe_backend_open(int ordinal, std::shared_ptr<moe::Device>& device) {
  device = moe::cuda::CudaDevice::open(ordinal);
}
