// Handles are numbers: type tag, generation and slot. A stale or foreign number is refused, never dereferenced.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "core/error.h"

namespace moe {

template <typename Object>
class HandleTable {
 public:
  // `tag` distinguishes the handles of this table from others'; `noun` names them in messages.
  HandleTable(uint8_t tag, const char* noun) : tag_(tag), noun_(noun) {}

  uint64_t insert(std::shared_ptr<Object> object) {
    std::unique_lock lock(mutex_);
    for (size_t slot = 0; slot < entries_.size(); ++slot) {
      if (!entries_[slot].object) return occupy(slot, std::move(object));
    }
    entries_.emplace_back();
    return occupy(entries_.size() - 1, std::move(object));
  }

  std::shared_ptr<Object> find(uint64_t handle) const {
    std::shared_lock lock(mutex_);
    return entries_[locate(handle)].object;
  }

  std::shared_ptr<Object> remove(uint64_t handle) {
    std::unique_lock lock(mutex_);
    return std::exchange(entries_[locate(handle)].object, nullptr);
  }

  // Removes the objects for which predicate(object) holds. They are destroyed after the table's lock is released,
  // because a destructor may take long or use the table.
  template <typename Predicate>
  std::vector<std::shared_ptr<Object>> remove_if(Predicate&& predicate) {
    std::vector<std::shared_ptr<Object>> removed;
    std::unique_lock lock(mutex_);
    for (Entry& entry : entries_) {
      if (entry.object && predicate(*entry.object)) removed.push_back(std::move(entry.object));
    }
    return removed;
  }

 private:
  struct Entry {
    std::shared_ptr<Object> object;
    uint32_t generation = 0;
  };

  uint64_t occupy(size_t slot, std::shared_ptr<Object> object) {
    Entry& entry = entries_[slot];
    entry.object = std::move(object);
    ++entry.generation;
    return uint64_t{tag_} << 56 | uint64_t{entry.generation & 0xffffffu} << 32 | slot;
  }

  size_t locate(uint64_t handle) const {
    if (handle >> 56 != tag_) fail(MOE_INVALID_HANDLE, handle, " is not a ", noun_, " handle");
    const size_t slot = handle & 0xffffffffu;
    if (slot >= entries_.size() || !entries_[slot].object ||
        (entries_[slot].generation & 0xffffffu) != (handle >> 32 & 0xffffffu)) {
      fail(MOE_INVALID_HANDLE, "the ", noun_, " of handle ", handle, " is closed or was never opened");
    }
    return slot;
  }

  const uint8_t tag_;
  const char* const noun_;
  mutable std::shared_mutex mutex_;
  std::vector<Entry> entries_;
};

}  // namespace moe
