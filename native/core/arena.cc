#include "core/arena.h"

#include <algorithm>

#include "core/device.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace moe {
namespace {

constexpr size_t kSmallestChunk = size_t{16} << 10;  // enough for most calls with few tokens

// Under AddressSanitizer, accesses fail to memory that is not taken, and to a gap after each taken block.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kGaps = true;
void refuse(void* memory, size_t bytes) { __asan_poison_memory_region(memory, bytes); }
void allow(void* memory, size_t bytes) { __asan_unpoison_memory_region(memory, bytes); }
#else
constexpr bool kGaps = false;
void refuse(void*, size_t) {}
void allow(void*, size_t) {}
#endif

}  // namespace

Arena::Arena(Device* device, size_t alignment, bool asynchronous)
    : device_(device), alignment_(alignment), asynchronous_(asynchronous) {}

Arena::~Arena() {
  while (!chunks_.empty()) remove_last_chunk();
}

void* Arena::take_bytes(size_t bytes) {
  const size_t size = (std::max<size_t>(bytes, 1) + alignment_ - 1) / alignment_ * alignment_;
  const size_t step = size + (kGaps ? alignment_ : 0);
  const auto fits = [&] { return chunks_[top_.chunk].bytes - top_.offset >= step; };
  while (top_.chunk < chunks_.size() && !fits()) top_ = {top_.chunk + 1, 0, top_.taken};
  // At least the size of all pinned chunks, so that a series of growing captures pins only a few times the largest one.
  if (top_.chunk == chunks_.size()) add_chunk(std::max({step, pinned_bytes_, kSmallestChunk}));
  char* taken = chunks_[top_.chunk].memory + top_.offset;
  top_.offset += step;
  top_.taken += step;
  most_taken_ = std::max(most_taken_, top_.taken);
  allow(taken, bytes);
  return taken;
}

void Arena::add_chunk(size_t bytes) {
  chunks_.reserve(chunks_.size() + 1);
  chunks_.push_back({static_cast<char*>(device_->allocate(static_cast<int64_t>(bytes))), bytes});
  refuse(chunks_.back().memory, bytes);
}

void Arena::remove_last_chunk() {
  allow(chunks_.back().memory, chunks_.back().bytes);
  device_->free(chunks_.back().memory);
  chunks_.pop_back();
}

void Arena::end_frame(Top start) {
  for (size_t chunk = std::max(start.chunk, pinned_); kGaps && chunk < chunks_.size() && chunk <= top_.chunk; ++chunk) {
    const size_t begin = chunk == start.chunk ? start.offset : 0;
    refuse(chunks_[chunk].memory + begin, chunks_[chunk].bytes - begin);
  }
  top_ = start;
  if (--frames_ == 0 && !asynchronous_) merge();
}

void Arena::merge() {
  if (frames_ > 0 || chunks_.size() <= pinned_ + 1) return;
  while (chunks_.size() > pinned_) remove_last_chunk();
  try {
    add_chunk(most_taken_);
  } catch (...) {
    // The device has no block of this size. The next call allocates what it needs, or reports the failure.
  }
}

void Arena::pin() {
  for (; pinned_ < chunks_.size(); ++pinned_) {
    pinned_bytes_ += chunks_[pinned_].bytes;
    allow(chunks_[pinned_].memory, chunks_[pinned_].bytes);  // a graph may write it between calls
  }
}

}  // namespace moe
