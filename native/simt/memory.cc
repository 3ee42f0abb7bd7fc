#include "simt/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "simt/counters.h"
#include "simt/gpu.h"
#include "simt/outcome.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace {

constexpr size_t kGpuBytes = size_t{simt::kCounted ? 80 : 16} << 30;
constexpr size_t kAlignment = 256;
// Memory consists of huge pages, so that changing its protection is fast for any size in use.
constexpr size_t kHugePage = size_t{2} << 20;

// Under AddressSanitizer, accesses outside blocks fail; each block ends with a gap.
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kGap = kAlignment;
void refuse(void* memory, size_t bytes) { __asan_poison_memory_region(memory, bytes); }
void allow(void* memory, size_t bytes) { __asan_unpoison_memory_region(memory, bytes); }
#else
constexpr size_t kGap = 0;
void refuse(void*, size_t) {}
void allow(void*, size_t) {}
#endif

size_t rounded(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

// Address space for the memory of one GPU. The system adds memory at the first write.
class GpuMemory {
 public:
  GpuMemory() {
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void* reserved = ::mmap(nullptr, kGpuBytes + kHugePage, PROT_NONE, kFlags, -1, 0);
    if (reserved == MAP_FAILED) std::abort();
    begin_ = reinterpret_cast<char*>(rounded(reinterpret_cast<size_t>(reserved), kHugePage));
    ::madvise(begin_, kGpuBytes, MADV_HUGEPAGE);  // may fail: only speed differs
  }

  // Null if there is no room. New memory is full of NaN, so that tests see reads of unwritten memory.
  void* allocate(size_t bytes) {
    const size_t size = rounded(std::max<size_t>(bytes, 1) + kGap, kAlignment);
    if (size > available()) return nullptr;
    size_t at = 0;
    for (const auto& [begin, length] : blocks_) {
      if (begin - at >= size) break;
      at = begin + length;
    }
    if (size > kGpuBytes - at) return nullptr;
    blocks_[at] = size;
    used_ += size;
    if (at + size > reach_) {
      reach_ = rounded(at + size, kHugePage);
      protect();
    }
    refuse(begin_ + at, size);
    allow(begin_ + at, bytes);
    open();
    if (!simt::kCounted) std::memset(begin_ + at, 0xff, bytes);
    close();
    return begin_ + at;
  }

  // Returns false if the GPU has no such block.
  bool free(void* memory) {
    const auto found = blocks_.find(static_cast<size_t>(static_cast<char*>(memory) - begin_));
    if (found == blocks_.end()) return false;
    refuse(memory, found->second);
    used_ -= found->second;
    blocks_.erase(found);
    return true;
  }

  void open() {
    if (accesses_++ == 0) protect();
  }
  void close() {
    if (--accesses_ == 0) protect();
  }

  size_t available() const { return kGpuBytes - std::min(kGpuBytes, used_ + occupied_); }
  void occupy(size_t bytes) { occupied_ = bytes; }

 private:
  void protect() {
    const int allowed = accesses_ > 0 ? PROT_READ | PROT_WRITE : PROT_NONE;
    if (reach_ > 0 && ::mprotect(begin_, reach_, allowed) != 0) std::abort();
  }

  char* begin_ = nullptr;
  std::map<size_t, size_t> blocks_;  // offset and size
  size_t reach_ = 0;                 // bytes from the start that blocks have used so far
  size_t used_ = 0, occupied_ = 0;
  int accesses_ = 0;
};

std::mutex mutex;  // over the GPUs' memory
GpuMemory* gpus() {
  static auto* memory = new GpuMemory[simt::kGpus];  // leaked on purpose: threads may run during static destruction
  return memory;
}

cudaError_t host_memory(void** memory, size_t bytes) {
  return ::posix_memalign(memory, kAlignment, std::max<size_t>(bytes, 1)) == 0 ? cudaSuccess
                                                                               : cudaErrorMemoryAllocation;
}

}  // namespace

void simt_access(int begin) {
  std::lock_guard lock(mutex);
  for (int gpu = 0; gpu < simt::kGpus; ++gpu) begin != 0 ? gpus()[gpu].open() : gpus()[gpu].close();
}

// Occupies `bytes` of every GPU, like another process would. For tests.
extern "C" __attribute__((visibility("default"))) void simt_occupy(uint64_t bytes) {
  std::lock_guard lock(mutex);
  for (int gpu = 0; gpu < simt::kGpus; ++gpu) gpus()[gpu].occupy(bytes);
}

cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  SIMT_OUTCOME();
  std::lock_guard lock(mutex);
  *total = kGpuBytes;
  *available = gpus()[simt::current_gpu()].available();
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  SIMT_OUTCOME();
  std::lock_guard lock(mutex);
  void* block = gpus()[simt::current_gpu()].allocate(bytes);
  if (block == nullptr) return cudaErrorMemoryAllocation;
  if constexpr (simt::kCounted) simt::count_memory(block, bytes);
  *memory = block;
  return cudaSuccess;
}

// Managed memory is open to the host at all times.
cudaError_t cudaMallocManaged(void** memory, size_t bytes, unsigned) {
  SIMT_OUTCOME();
  return host_memory(memory, bytes);
}

cudaError_t cudaFree(void* memory) {
  if constexpr (simt::kCounted) simt::count_memory(memory, 0);
  std::lock_guard lock(mutex);
  for (int gpu = 0; gpu < simt::kGpus; ++gpu) {
    if (gpus()[gpu].free(memory)) return cudaSuccess;
  }
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaMemAdvise(const void*, size_t, cudaMemoryAdvise, cudaMemLocation) { return cudaSuccess; }

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  SIMT_OUTCOME();
  return host_memory(memory, bytes);
}

cudaError_t cudaFreeHost(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
