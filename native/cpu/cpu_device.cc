#include "cpu/cpu_device.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>

#include "core/error.h"
#include "core/memory_blocks.h"
#include "cpu/cpu_stream.h"
#include "cpu/kernels.h"
#include "cpu/simd/target.h"

namespace moe::cpu {
namespace {

constexpr Kernels kKernels{MOE_KERNELS(MOE_KERNEL_ENTRY)};

constexpr size_t kHugePage = size_t{2} << 20;  // bytes, on x86-64 and on AArch64 with pages of 4 KiB

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

// Rounds like block_bytes; blocks of a huge page or more are rounded to whole huge pages.
size_t rounded(int64_t bytes) {
  const size_t size = block_bytes(bytes, 64);
  return size < kHugePage ? size : (size + kHugePage - 1) / kHugePage * kHugePage;
}

class CpuDevice final : public Device {
 public:
  ~CpuDevice() override { blocks_.release_all(std::free); }

  const Kernels& kernels() const override { return kKernels; }

  int default_threads() const override { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

  std::shared_ptr<Stream> create_stream(std::shared_ptr<Device> self, int threads) override;

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
    if (void* kept = blocks_.reuse(size)) return kept;
    const bool huge = size >= kHugePage;
    void* memory = std::aligned_alloc(huge ? kHugePage : 64, size);
    if (memory == nullptr) fail(MOE_OUT_OF_MEMORY, "the system did not grant ", size, " bytes");
    if (huge) ::madvise(memory, size, MADV_HUGEPAGE);  // may fail: only speed differs
    blocks_.add(memory, size);
    return memory;
  }

  void free(void* memory) override {
    std::lock_guard lock(mutex_);
    blocks_.keep(memory);
  }

  // Returns pages to the system, which then read as 0 and take room when they are next written. Returns their bytes,
  // the first of `bytes`: 0 unless a large block begins at `memory`.
  int64_t give_back(void* memory, int64_t bytes) {
    std::lock_guard lock(mutex_);
    const size_t whole = std::min(static_cast<size_t>(bytes), blocks_.size(memory)) / kHugePage * kHugePage;
    // Locked pages cannot be returned.
    return whole > 0 && ::madvise(memory, whole, MADV_DONTNEED) == 0 ? static_cast<int64_t>(whole) : 0;
  }

  void trim() override {
    std::lock_guard lock(mutex_);
    blocks_.release_kept(std::free);
  }

  moe_memory_usage memory_usage() const override {
    std::lock_guard lock(mutex_);
    return blocks_.usage();
  }

  void install(const moe_runtime_kernel&, const void*, int64_t) override {
    fail(MOE_UNSUPPORTED, "the cpu backend takes no runtime kernels");
  }

 private:
  mutable std::mutex mutex_;
  MemoryBlocks blocks_;
};

// Of a cache only the part that is used takes memory.
class DeviceStream final : public CpuStream {
 public:
  using CpuStream::CpuStream;

  void zero(void* memory, int64_t bytes) override {
    const int64_t done = static_cast<CpuDevice&>(device()).give_back(memory, bytes);
    CpuStream::zero(static_cast<char*>(memory) + done, bytes - done);
  }
};

std::shared_ptr<Stream> CpuDevice::create_stream(std::shared_ptr<Device> self, int threads) {
  return std::make_shared<DeviceStream>(std::move(self), threads);
}

}  // namespace

std::shared_ptr<Device> open() {
  // Runs before the first kernel is dispatched to an instruction set. Repeated if the name was refused.
  static const bool limited = (limit_simd_target(std::getenv("PANAMOE_SIMD")), true);
  static_cast<void>(limited);
  return std::make_shared<CpuDevice>();
}

}  // namespace moe::cpu
