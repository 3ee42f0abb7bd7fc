// What this machine can do at best, as one JSON line: the rate of fused multiply-adds, of bfloat16 dot products and of
// reading memory. The yardstick of the roofline column of `panamoe bench`.
//
// ceilings_bench [THREADS]     default: one thread per processor
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/ceilings_bench.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "bench/ceilings-inl.h"

#if HWY_ONCE
namespace moe::bench {
namespace {

HWY_EXPORT(multiply_add);
HWY_EXPORT(dot_bf16);
HWY_EXPORT(read_streams);

constexpr int kRepetitions = 7;

// Seconds of one parallel run of body(thread): the best of several, since a ceiling is what undisturbed hardware does.
double best_seconds(int threads, const std::function<void(int)>& body) {
  double best = 1e30;
  for (int i = 0; i < kRepetitions; ++i) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> team;
    for (int t = 0; t < threads; ++t) team.emplace_back(body, t);
    for (std::thread& thread : team) thread.join();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

int run(int threads) {
  constexpr int64_t kSteps = 20'000'000;
  constexpr int64_t kShare = int64_t{512} << 20;
  constexpr size_t kLine = 16;  // floats in a cache line: one sink a thread
  std::vector<float> sink(static_cast<size_t>(threads) * kLine);
  std::vector<double> work(static_cast<size_t>(threads));

  const double fma_seconds = best_seconds(
      threads, [&](int t) { work[t] = HWY_DYNAMIC_DISPATCH(multiply_add)(kSteps, 1.0f, &sink[t * kLine]); });
  const double fma = work[0] * threads / fma_seconds;
  const double dot_seconds =
      best_seconds(threads, [&](int t) { work[t] = HWY_DYNAMIC_DISPATCH(dot_bf16)(kSteps, 1.0f, &sink[t * kLine]); });
  const double dot = std::max(fma, work[0] * threads / dot_seconds);

  const auto bytes = static_cast<size_t>(kShare) * static_cast<size_t>(threads) + 4096;
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::fprintf(stderr, "ceilings_bench: cannot allocate %zu bytes\n", bytes);
    return 1;
  }
  ::madvise(memory, bytes, MADV_HUGEPAGE);
  char* data = static_cast<char*>(memory);
  std::fill(data, data + bytes, 1);  // untouched pages would all be the one page of zeros
  double read = 0;
  for (int streams : {1, 2, 4}) {
    for (bool past_caches : {false, true}) {
      const double seconds = best_seconds(threads, [&](int t) {
        HWY_DYNAMIC_DISPATCH(read_streams)(data + t * kShare, kShare, streams, past_caches, &sink[t * kLine]);
      });
      read = std::max(read, static_cast<double>(kShare) * threads / seconds);
    }
  }
  ::munmap(memory, bytes);
  std::printf("{\"fma_f32_gflops\": %.1f, \"dot_bf16_gflops\": %.1f, \"read_gbytes_per_s\": %.1f, \"threads\": %d}\n",
              fma / 1e9, dot / 1e9, read / 1e9, threads);
  return 0;
}

}  // namespace

int main_of(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : static_cast<int>(std::thread::hardware_concurrency());
  if (argc > 2 || threads < 1 || threads > 1024) {
    std::fprintf(stderr, "usage: %s [THREADS], 1 to 1024\n", argv[0]);
    return 2;
  }
  return run(threads);
}

}  // namespace moe::bench

int main(int argc, char** argv) { return moe::bench::main_of(argc, argv); }
#endif
