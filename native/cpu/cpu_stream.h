// A stream of the CPU: the threads that its kernels run on.
#pragma once

#include <cstring>
#include <utility>

#include "core/stream.h"
#include "cpu/team.h"

namespace moe::cpu {

class CpuStream : public Stream {
 public:
  static constexpr size_t kAlignment = 64;  // bytes of a cache line, and of the widest vector

  CpuStream(std::shared_ptr<Device> device, int threads)
      : Stream(std::move(device), kAlignment, false), threads_(threads), team_(threads) {}

  void write(const void* host, int64_t bytes, void* memory) override { move(host, bytes, memory); }
  void read(const void* memory, int64_t bytes, void* host) override { move(memory, bytes, host); }
  void zero(void* memory, int64_t bytes) override {
    if (bytes > 0) std::memset(memory, 0, static_cast<size_t>(bytes));
  }

  int threads() const { return threads_; }
  Team& team() { return team_; }

 private:
  static void move(const void* from, int64_t bytes, void* to) {
    if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
  }

  const int threads_;
  Team team_;
};

// The number of threads that a kernel on the stream can use.
inline int threads_of(const Stream& stream) { return static_cast<const CpuStream&>(stream).threads(); }

// Scratch memory of `count` values for each member of the stream's team. The caller takes it before the team runs.
template <typename Value>
class LocalScratch {
 public:
  LocalScratch(Stream& stream, int64_t count)
      : stride_((count * int64_t{sizeof(Value)} + kGap - 1) / kGap * kGap),
        memory_(stream.arena().take<char>(stride_ * threads_of(stream))) {}

  Value* operator[](int member) const { return reinterpret_cast<Value*>(memory_ + member * stride_); }

 private:
  static constexpr int64_t kGap = 128;  // bytes: hardware prefetches pairs of cache lines

  const int64_t stride_;
  char* const memory_;
};

}  // namespace moe::cpu
