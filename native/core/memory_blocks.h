// The memory of a device: blocks in use, and freed blocks that are kept for the next request of their size. Not
// thread-safe: the device locks it.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <map>
#include <unordered_map>
#include <vector>

#include "core/error.h"
#include "moe/device.h"

namespace moe {

// Rounds a request up, so that a freed block fits the next request of about its size: to a multiple of `unit` and of an
// eighth of the largest power of two in it.
inline size_t block_bytes(int64_t bytes, size_t unit) {
  const size_t size = std::max(static_cast<size_t>(bytes), unit);
  const size_t step = std::max(std::bit_floor(size) / 8, unit);
  return (size + step - 1) / step * step;
}

class MemoryBlocks {
 public:
  // Takes a kept block of `size` bytes into use; null if no such block is kept.
  void* reuse(size_t size) {
    const auto kept = kept_.find(size);
    if (kept == kept_.end() || kept->second.empty()) return nullptr;
    void* block = kept->second.back();
    kept->second.pop_back();
    usage_.cached -= static_cast<int64_t>(size);
    add(block, size);
    return block;
  }

  // Adds a new block that is in use.
  void add(void* block, size_t size) {
    in_use_.emplace(block, size);
    usage_.in_use += static_cast<int64_t>(size);
    usage_.peak = std::max(usage_.peak, usage_.in_use);
  }

  // The bytes of the block in use that begins there; 0 if none does.
  size_t size(void* block) const {
    const auto found = in_use_.find(block);
    return found == in_use_.end() ? 0 : found->second;
  }

  // Moves a block from in use to kept. Throws Error if it is not in use.
  void keep(void* block) {
    const auto found = in_use_.find(block);
    if (found == in_use_.end()) invalid("memory was not allocated by this device, or is already freed");
    kept_[found->second].push_back(block);
    usage_.in_use -= static_cast<int64_t>(found->second);
    usage_.cached += static_cast<int64_t>(found->second);
    in_use_.erase(found);
  }

  // Calls release(block) for every kept block and forgets them.
  template <typename Release>
  void release_kept(Release&& release) {
    for (const auto& [size, blocks] : kept_) {
      for (void* block : blocks) release(block);
    }
    kept_.clear();
    usage_.cached = 0;
  }

  // Calls release(block) for every block, kept or in use, and forgets them.
  template <typename Release>
  void release_all(Release&& release) {
    release_kept(release);
    for (const auto& [block, size] : in_use_) release(block);
    in_use_.clear();
    usage_.in_use = 0;
  }

  const moe_memory_usage& usage() const { return usage_; }

 private:
  std::unordered_map<void*, size_t> in_use_;
  std::map<size_t, std::vector<void*>> kept_;
  moe_memory_usage usage_{.struct_size = sizeof(moe_memory_usage), .reserved = 0, .in_use = 0, .cached = 0, .peak = 0};
};

}  // namespace moe
