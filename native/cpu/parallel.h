// The one seam between kernels and threads: OpenMP, or plain threads where ThreadSanitizer must see every lock
// (GCC's OpenMP runtime is not instrumented).
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <iterator>

#include "src/stream.h"

#if defined(MOE_STD_THREADS)
#include <thread>
#include <vector>
#endif

namespace moe::cpu {

// Runs body(member) once on each of the stream's threads, member 0 being the caller.
template <typename Body>
void run_team(const Stream& stream, Body&& body) {
  const int threads = stream.threads();
  if (threads == 1) {
    body(0);
    return;
  }
#if defined(MOE_STD_THREADS)
  std::vector<std::thread> team;
  for (int member = 1; member < threads; ++member) team.emplace_back([&body, member] { body(member); });
  body(0);
  for (std::thread& thread : team) thread.join();
#else
  // A team member that the system could not start would leave its share undone; members take shares by a counter.
  std::atomic<int> next{0};
#pragma omp parallel num_threads(threads)
  for (int member = next.fetch_add(1); member < threads; member = next.fetch_add(1)) body(member);
#endif
}

// Work of fewer nanoseconds than this, on one thread, stays with the caller: others start too late to help, and where
// cores are busy the caller would wait for one of them to get its turn. ThreadSanitizer is to see every split.
#if defined(MOE_STD_THREADS)
inline constexpr int64_t kWorthWaking = 0;
#else
inline constexpr int64_t kWorthWaking = 5000;
#endif

// Runs body(task, member) for every task in [0, tasks): a thread takes those of its own share one after the other, so
// that it reads memory in order, and then helps the others. `nanoseconds` is what one thread would need for all of
// them, roughly. Which thread runs a task never changes a result: tasks write disjoint memory.
template <typename Body>
void parallel_tasks(const Stream& stream, int64_t tasks, int64_t nanoseconds, Body&& body) {
  if (tasks <= 1 || nanoseconds < kWorthWaking || stream.threads() == 1) {
    for (int64_t task = 0; task < tasks; ++task) body(task, 0);
    return;
  }
  struct alignas(64) Share {  // a cache line of its own
    std::atomic<int64_t> next;
    int64_t end;
  };
  std::array<Share, 64> shares;  // more threads than that help from the start
  const int64_t count = std::min<int64_t>({tasks, stream.threads(), std::ssize(shares)});
  for (int64_t i = 0; i < count; ++i) {
    shares[i].next = tasks * i / count;
    shares[i].end = tasks * (i + 1) / count;
  }
  run_team(stream, [&](int member) {
    for (int64_t i = 0; i < count; ++i) {
      Share& share = shares[(member + i) % count];
      while (share.next.load(std::memory_order_relaxed) < share.end) {
        const int64_t task = share.next.fetch_add(1, std::memory_order_relaxed);
        if (task < share.end) body(task, member);
      }
    }
  });
}

// Splits [0, count) into equal blocks of at least `grain`, which is worth waking a thread for, and runs
// body(begin, end) on each. For kernels in which an element's result does not depend on where blocks end.
template <typename Body>
void parallel_blocks(const Stream& stream, int64_t count, int64_t grain, Body&& body) {
  const int64_t blocks = std::clamp<int64_t>(count / std::max<int64_t>(grain, 1), 1, stream.threads());
  if (count <= 0) return;
  parallel_tasks(stream, blocks, kWorthWaking,
                 [&](int64_t block, int) { body(count * block / blocks, count * (block + 1) / blocks); });
}

}  // namespace moe::cpu
