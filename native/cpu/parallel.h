// How kernels use a stream's threads: tasks, and blocks of elements.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <iterator>

#include "cpu/cpu_stream.h"

namespace moe::cpu {

// Work below this many nanoseconds of one thread stays with the caller, because waking other threads takes as long. 0
// under ThreadSanitizer, so that it sees every kernel on several threads.
#if defined(__SANITIZE_THREAD__)
inline constexpr int64_t kWorthWaking = 0;
#else
inline constexpr int64_t kWorthWaking = 5000;
#endif

// Runs body(task, member) for every task in [0, tasks). A thread runs its own share in order, so that it reads memory
// in order, and then takes tasks from other shares. `nanoseconds` estimates one thread's time for all tasks. Tasks
// write disjoint memory, so results do not depend on who runs them. Called inside a task, the calling thread runs all
// tasks alone. Throws the first exception of a body; some tasks may not have run then.
template <typename Body>
void parallel_tasks(Stream& stream, int64_t tasks, int64_t nanoseconds, Body&& body) {
  if (tasks <= 1 || nanoseconds < kWorthWaking || threads_of(stream) == 1 || Team::at_work()) {
    const int member = Team::member();
    for (int64_t task = 0; task < tasks; ++task) body(task, member);
    return;
  }
  struct alignas(64) Share {  // one cache line each
    std::atomic<int64_t> next;
    int64_t end;
  };
  std::array<Share, 64> shares;  // threads from the 65th on have no share and take tasks from others
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

// Splits [0, count) into at most one equal block per thread, each of at least `grain` elements, and runs body(begin,
// end) on each. Results of elements must not depend on the block boundaries.
template <typename Body>
void parallel_blocks(Stream& stream, int64_t count, int64_t grain, Body&& body) {
  const int64_t blocks = std::clamp<int64_t>(count / std::max<int64_t>(grain, 1), 1, threads_of(stream));
  if (count <= 0) return;
  parallel_tasks(stream, blocks, kWorthWaking,
                 [&](int64_t block, int) { body(count * block / blocks, count * (block + 1) / blocks); });
}

}  // namespace moe::cpu
