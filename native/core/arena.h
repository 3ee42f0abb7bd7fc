// Scratch memory for the calls of a stream: a stack over chunks of device memory. A call takes memory, calls inside it
// take memory after it, and each one frees its part when it ends.
// Test: panamoe_test --gtest_filter='Arena*'.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace moe {

class Device;

// One thread uses an arena at a time. In a steady state calls allocate nothing: chunks are kept between calls, and
// merge() replaces them by one chunk, large enough for the largest call so far.
class Arena {
  struct Top {
    size_t chunk = 0, offset = 0;
    size_t taken = 0;  // bytes taken by all frames
  };

 public:
  // take() aligns to `alignment`; the device must align its memory to that too. asynchronous: kernels may still run
  // after their call has ended (moe_device_info), so only the owner calls merge(). Otherwise the end of the outermost
  // frame merges.
  Arena(Device* device, size_t alignment, bool asynchronous);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  // Memory for `count` values, contents undefined, valid until the innermost frame ends. Throws Error if the device has
  // no memory left.
  template <typename Value>
  Value* take(int64_t count) {
    return static_cast<Value*>(take_bytes(static_cast<size_t>(count) * sizeof(Value)));
  }

  // Frees, at its end, what was taken since its beginning. Frames nest.
  class Frame {
   public:
    explicit Frame(Arena& arena) : arena_(arena), start_(arena.top_) { ++arena.frames_; }
    Frame(const Frame&) = delete;
    Frame& operator=(const Frame&) = delete;
    ~Frame() { arena_.end_frame(start_); }

   private:
    Arena& arena_;
    const Top start_;
  };

  // Replaces the chunks that are not pinned by one. No kernel may still use them. Does nothing inside a frame.
  void merge();
  // Keeps the present chunks until the arena is destroyed, because a captured graph holds their addresses.
  void pin();

 private:
  struct Chunk {
    char* memory;
    size_t bytes;
  };

  void* take_bytes(size_t bytes);
  void add_chunk(size_t bytes);
  void remove_last_chunk();
  void end_frame(Top start);

  Device* const device_;
  const size_t alignment_;
  const bool asynchronous_;
  std::vector<Chunk> chunks_;
  size_t pinned_ = 0, pinned_bytes_ = 0;  // the first chunks, and their bytes
  Top top_;
  size_t most_taken_ = 0;
  int frames_ = 0;
};

}  // namespace moe
