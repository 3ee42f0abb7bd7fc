// The one seam between kernels and threads.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <iterator>

#include "cpu/cpu_stream.h"

namespace moe::cpu {

// Work of fewer nanoseconds than this, on one thread, stays with the caller: others start too late to help.
// ThreadSanitizer is to see every split.
#if defined(__SANITIZE_THREAD__)
inline constexpr int64_t kWorthWaking = 0;
#else
inline constexpr int64_t kWorthWaking = 5000;
#endif

// Runs body(task, member) for every task in [0, tasks): a thread takes those of its own share one after the other, so
// that it reads memory in order, and then helps the others. `nanoseconds` is what one thread would need for all of
// them, roughly. Which thread runs a task never changes a result: tasks write disjoint memory. Called by a task, the
// task's own thread runs them all. Throws the first of what bodies threw; tasks may then be left out.
template <typename Body>
void parallel_tasks(Stream& stream, int64_t tasks, int64_t nanoseconds, Body&& body) {
  if (tasks <= 1 || nanoseconds < kWorthWaking || threads_of(stream) == 1 || Team::at_work()) {
    const int member = Team::member();
    for (int64_t task = 0; task < tasks; ++task) body(task, member);
    return;
  }
  struct alignas(64) Share {  // a cache line of its own
    std::atomic<int64_t> next;
    int64_t end;
  };
  std::array<Share, 64> shares;  // more threads than that help from the start
  const int wanted = static_cast<int>(std::min<int64_t>(tasks, threads_of(stream)));
  const int64_t count = std::min<int64_t>(wanted, std::ssize(shares));
  for (int64_t i = 0; i < count; ++i) {
    shares[i].next = tasks * i / count;
    shares[i].end = tasks * (i + 1) / count;
  }
  auto take_tasks = [&](int member) {
    for (int64_t i = 0; i < count; ++i) {
      Share& share = shares[(member + i) % count];
      while (share.next.load(std::memory_order_relaxed) < share.end) {
        const int64_t task = share.next.fetch_add(1, std::memory_order_relaxed);
        if (task < share.end) body(task, member);
      }
    }
  };
  static_cast<CpuStream&>(stream).team().run(
      wanted, [](void* context, int member) { (*static_cast<decltype(take_tasks)*>(context))(member); }, &take_tasks);
}

// Splits [0, count) into equal blocks of at least `grain`, which is worth waking a thread for, and runs
// body(begin, end) on each. For kernels in which an element's result does not depend on where blocks end.
template <typename Body>
void parallel_blocks(Stream& stream, int64_t count, int64_t grain, Body&& body) {
  const int64_t blocks = std::clamp<int64_t>(count / std::max<int64_t>(grain, 1), 1, threads_of(stream));
  if (count <= 0) return;
  parallel_tasks(stream, blocks, kWorthWaking,
                 [&](int64_t block, int) { body(count * block / blocks, count * (block + 1) / blocks); });
}

}  // namespace moe::cpu
