#include "cpu/cpu_device.h"

#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cpu/kernels.h"
#include "cpu/simd_target.h"
#include "src/error.h"

namespace moe::cpu {
namespace {

constexpr Kernels kKernels{MOE_KERNELS(MOE_KERNEL_ENTRY)};

constexpr size_t kHugePage = size_t{2} << 20;

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) {
      const size_t colon = line.find(':');
      return colon == std::string::npos ? line : line.substr(colon + 2);
    }
  }
  return "unknown processor";
}

// A request is rounded up so that a freed block fits the next request of about its size: to an eighth of its
// power of two, and to whole huge pages once it is larger than one.
size_t rounded(int64_t bytes) {
  size_t size = std::max<size_t>(static_cast<size_t>(bytes), 64);
  const size_t step = std::max<size_t>(std::bit_floor(size) / 8, 64);
  size = (size + step - 1) / step * step;
  return size < kHugePage ? size : (size + kHugePage - 1) / kHugePage * kHugePage;
}

class CpuDevice final : public Device {
 public:
  ~CpuDevice() override {
    trim();
    for (const auto& [memory, bytes] : live_) std::free(memory);
  }

  const Kernels& kernels() const override { return kKernels; }

  int default_threads() const override { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

  std::shared_ptr<Stream> create_stream(std::shared_ptr<Device> self, int threads) override {
    return std::make_shared<Stream>(std::move(self), threads);
  }

  void synchronize(Stream&) override {}  // work has run when its call returns

  void describe(moe_device_info& info) const override {
    const int64_t page = ::sysconf(_SC_PAGESIZE);
    info.processors = default_threads();
    info.memory_total = ::sysconf(_SC_PHYS_PAGES) * page;
    info.memory_available = ::sysconf(_SC_AVPHYS_PAGES) * page;
    const SimdTarget target = simd_target();
    info.native_bfloat16 = target.native_bfloat16 ? 1 : 0;
    info.vector_bytes = target.vector_bytes;
    info.asynchronous = 0;
    std::snprintf(info.name, sizeof(info.name), "%s", processor_name().c_str());
    std::snprintf(info.target, sizeof(info.target), "%s", target.name);
  }

  void* allocate(int64_t bytes) override {
    if (bytes > static_cast<int64_t>(1) << 46) fail(MOE_OUT_OF_MEMORY, bytes, " bytes were asked for");
    const size_t size = rounded(bytes);
    std::lock_guard lock(mutex_);
    void* memory = nullptr;
    if (auto cached = cache_.find(size); cached != cache_.end() && !cached->second.empty()) {
      memory = cached->second.back();
      cached->second.pop_back();
      usage_.cached -= static_cast<int64_t>(size);
    } else {
      const bool huge = size >= kHugePage;
      memory = std::aligned_alloc(huge ? kHugePage : 64, size);
      if (memory == nullptr) fail(MOE_OUT_OF_MEMORY, "the system did not grant ", size, " bytes");
      if (huge) ::madvise(memory, size, MADV_HUGEPAGE);  // a wish; without it only speed differs
    }
    live_.emplace(memory, size);
    usage_.in_use += static_cast<int64_t>(size);
    usage_.peak = std::max(usage_.peak, usage_.in_use);
    return memory;
  }

  void free(void* memory) override {
    std::lock_guard lock(mutex_);
    const auto found = live_.find(memory);
    if (found == live_.end()) invalid("memory was not allocated by this device, or is already freed");
    cache_[found->second].push_back(memory);
    usage_.in_use -= static_cast<int64_t>(found->second);
    usage_.cached += static_cast<int64_t>(found->second);
    live_.erase(found);
  }

  void trim() override {
    std::lock_guard lock(mutex_);
    for (const auto& [size, blocks] : cache_) {
      for (void* block : blocks) std::free(block);
    }
    cache_.clear();
    usage_.cached = 0;
  }

  moe_memory_usage memory_usage() const override {
    std::lock_guard lock(mutex_);
    moe_memory_usage usage = usage_;
    usage.struct_size = sizeof(moe_memory_usage);
    return usage;
  }

  void install(const moe_runtime_kernel&, const void*, int64_t) override {
    fail(MOE_UNSUPPORTED, "the cpu backend takes no kernels compiled at run time");
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<void*, size_t> live_;
  std::map<size_t, std::vector<void*>> cache_;
  moe_memory_usage usage_{};
};

}  // namespace

std::shared_ptr<Device> open() {
  // Before the first kernel picks its instructions; tried again when the name was refused.
  static const bool limited = (limit_simd_target(std::getenv("PANAMOE_SIMD")), true);
  static_cast<void>(limited);
  return std::make_shared<CpuDevice>();
}

}  // namespace moe::cpu
