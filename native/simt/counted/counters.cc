// The compiler calls __tsan_read4(address) and the like before each access of a kernel (-fsanitize=thread), and they
// are defined here: addresses in a GPU's memory and in shared memory count, all others are of registers and stacks.
#include "simt/counters.h"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "simt/block.h"
#include "simt/counted/counts.h"

namespace simt {
namespace {

constexpr uintptr_t kSector = 32;  // bytes that a GPU reads at once

// Memory of a GPU, and which of its sectors kernels have read and written.
struct Memory {
  uintptr_t begin, end;
  std::vector<bool> read, written;
};

// A multiprocessor's cache for one block: the word of 4 bytes that each entry holds, 128 KiB together. Words, because a
// thread runs ahead of those that read the same sector with it.
constexpr size_t kWord = 4;
using Cache = std::array<uintptr_t, 32768>;

Counts counts;
std::map<uintptr_t, Memory> memories;  // by begin
Memory* last_memory = nullptr;
std::unordered_map<const Block*, Cache> caches;

Memory* memory_at(uintptr_t address) {
  if (memories.empty() || address < memories.begin()->first || address >= memories.rbegin()->second.end) return nullptr;
  if (last_memory != nullptr && address >= last_memory->begin && address < last_memory->end) return last_memory;
  const auto after = memories.upper_bound(address);
  if (after == memories.begin()) return nullptr;
  Memory& found = std::prev(after)->second;
  return address < found.end ? last_memory = &found : nullptr;
}

// Marks the sectors of these bytes, and counts those that had no mark.
void mark(const Memory& memory, std::vector<bool>& marks, uintptr_t address, size_t bytes) {
  const uintptr_t last = (address + bytes - 1 - memory.begin) / kSector;
  for (uintptr_t sector = (address - memory.begin) / kSector; sector <= last; ++sector) {
    if (!marks[sector]) counts.of_memory += kSector;
    marks[sector] = true;
  }
}

// Counts bytes on their way between L2 and a multiprocessor, if they are of a GPU's memory.
void count_l2(const void* at, size_t bytes, std::vector<bool> Memory::* marks) {
  const auto address = reinterpret_cast<uintptr_t>(at);
  Memory* memory = bytes == 0 ? nullptr : memory_at(address);
  if (memory == nullptr) return;
  counts.of_l2 += bytes;
  mark(*memory, memory->*marks, address, bytes);
}

void read(const void* from, size_t bytes) {
  if (!Block::running()) return;
  Block& block = Block::current();
  const auto address = reinterpret_cast<uintptr_t>(from);
  if (block.shared().holds(from)) {
    counts.of_shared += bytes;
  } else if (Memory* memory = memory_at(address)) {
    mark(*memory, memory->read, address, bytes);
    static thread_local const Block* last_block = nullptr;
    static thread_local Cache* cache = nullptr;
    if (last_block != &block) cache = &caches[last_block = &block];
    const uintptr_t from_first = address - memories.begin()->first;  // the same in every process
    for (uintptr_t word = from_first / kWord; word <= (from_first + bytes - 1) / kWord; ++word) {
      uintptr_t& entry = (*cache)[word * 0x9e3779b97f4a7c15 >> 49];  // any mixture of its bits
      if (entry != word) counts.of_l2 += std::min(bytes, kWord);
      entry = word;
    }
  }
}

void write(const void* to, size_t bytes) {
  if (!Block::running()) return;
  Block::current().shared().holds(to) ? count_shared(bytes) : count_l2(to, bytes, &Memory::written);
}

}  // namespace

void count_block(const Block& block) {
  ++counts.blocks;
  caches[&block].fill(~uintptr_t{0});
}

void count_barrier() { ++counts.barriers; }

void count_product(int rows, int columns, bool first, size_t shared_bytes) {
  counts.of_shared += shared_bytes;
  if (!first) return;
  ++counts.products;
  counts.operations += uint64_t{2} * 16 * static_cast<uint64_t>(rows * columns);
}

void count_copied(const void* from, size_t bytes) { count_l2(from, bytes, &Memory::read); }

void count_shared(size_t bytes) { counts.of_shared += bytes; }

void count_moved(const void* to, const void* from, size_t bytes) {
  if (from != nullptr) count_copied(from, bytes);
  count_l2(to, bytes, &Memory::written);
}

void count_memory(const void* memory, size_t bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(memory);
  last_memory = nullptr;
  memories.erase(begin);
  const std::vector<bool> none(bytes / kSector + 2);
  if (bytes > 0) memories[begin] = {begin, begin + bytes, none, none};
}

}  // namespace simt

// Gives the counts since the last call, and counts from 0 again.
extern "C" __attribute__((visibility("default"))) void simt_counts(simt::Counts* counts) {
  *counts = std::exchange(simt::counts, {});
  for (auto& [begin, memory] : simt::memories) {
    memory.read.assign(memory.read.size(), false);
    memory.written.assign(memory.written.size(), false);
  }
}

#define SIMT_SIZE(bytes)                                           \
  void __tsan_read##bytes(void* from) { simt::read(from, bytes); } \
  void __tsan_write##bytes(void* to) { simt::write(to, bytes); }
extern "C" {
SIMT_SIZE(1)
SIMT_SIZE(2)
SIMT_SIZE(4)
SIMT_SIZE(8)
SIMT_SIZE(16)
void __tsan_read_range(void* from, size_t bytes) { simt::read(from, bytes); }
void __tsan_write_range(void* to, size_t bytes) { simt::write(to, bytes); }
void __tsan_init() {}
void __tsan_vptr_update(void**, void*) {}
uint8_t __tsan_atomic8_load(const uint8_t* from, int) { return *from; }
uint32_t __tsan_atomic32_load(const uint32_t* from, int) { return *from; }
uint64_t __tsan_atomic64_fetch_add(uint64_t* to, uint64_t value, int) { return std::exchange(*to, *to + value); }
}
