// This machine's ceilings, as one JSON line: rates of fused multiply-adds, of bfloat16 and int8 dot products, and of
// reading memory. The roofline column of `panamoe bench` is relative to them.
//
// ceilings_bench [THREADS [--watch]]     default: one thread per processor. --watch measures again, in less time and
// less thoroughly, for each line that it reads, because the speed of memory shared with other machines changes.
#include <sys/mman.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string_view>
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
HWY_EXPORT(dot_int8);
HWY_EXPORT(read_streams);

constexpr size_t kLine = 16;  // floats in a cache line: one sink per thread

// The best of `repetitions` runs of body(thread) on all threads, in seconds: a ceiling is what undisturbed hardware
// reaches.
double best_seconds(int threads, int repetitions, const std::function<void(int)>& body) {
  double best = 1e30;
  for (int i = 0; i < repetitions; ++i) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> team;
    for (int t = 0; t < threads; ++t) team.emplace_back(body, t);
    for (std::thread& thread : team) thread.join();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

class Machine {
 public:
  explicit Machine(int threads)
      : threads_(threads),
        share_(kRead / threads / 4096 * 4096),
        sink_(static_cast<size_t>(threads) * kLine),
        work_(static_cast<size_t>(threads)),
        memory_bytes_(static_cast<size_t>(share_) * static_cast<size_t>(threads) + 4096) {
    void* memory = ::mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      std::fprintf(stderr, "ceilings_bench: cannot allocate %zu bytes\n", memory_bytes_);
      std::exit(1);
    }
    ::madvise(memory, memory_bytes_, MADV_HUGEPAGE);
    memory_ = static_cast<char*>(memory);
    std::fill(memory_, memory_ + memory_bytes_, 1);  // untouched pages would all map to the zero page
  }
  Machine(const Machine&) = delete;
  ~Machine() { ::munmap(memory_, memory_bytes_); }

  void measure() {
    double fastest = 0;
    for (const Way way : {Way{1, false}, {1, true}, {2, false}, {2, true}, {4, false}, {4, true}}) {
      const double rate = read(way, share_, kThorough);
      if (rate > fastest) fastest = rate, way_ = way;
    }
    print(multiply(5'000'000, kThorough), fastest);
  }

  // Measures again in a few hundredths of a second, with the fastest way of reading memory.
  void measure_again() {
    const Rates rates = multiply(1'000'000, kQuick);
    print(rates, read(way_, share_ / 2, kQuick));
  }

 private:
  struct Way {
    int streams;
    bool past_caches;
  };
  struct Rates {
    double fma, dot, bytes;
  };

  static constexpr int kThorough = 7, kQuick = 3;     // repetitions
  static constexpr int64_t kRead = int64_t{1} << 30;  // bytes of all threads together: many times the caches

  double read(Way way, int64_t share, int repetitions) {
    const double seconds = best_seconds(threads_, repetitions, [&](int t) {
      HWY_DYNAMIC_DISPATCH(read_streams)(memory_ + t * share, share, way.streams, way.past_caches, &sink_[t * kLine]);
    });
    return static_cast<double>(share) * threads_ / seconds;
  }

  Rates multiply(int64_t steps, int repetitions) {
    const double fma_seconds = best_seconds(threads_, repetitions, [&](int t) {
      work_[t] = HWY_DYNAMIC_DISPATCH(multiply_add)(steps, 1.0f, &sink_[t * kLine]);
    });
    const double fma = work_[0] * threads_ / fma_seconds;
    const double dot_seconds = best_seconds(threads_, repetitions, [&](int t) {
      work_[t] = HWY_DYNAMIC_DISPATCH(dot_bf16)(steps, 1.0f, &sink_[t * kLine]);
    });
    const double dot = std::max(fma, work_[0] * threads_ / dot_seconds);
    const double byte_seconds = best_seconds(threads_, repetitions, [&](int t) {
      work_[t] = HWY_DYNAMIC_DISPATCH(dot_int8)(steps, 1.0f, &sink_[t * kLine]);
    });
    return {fma, dot, work_[0] * threads_ / byte_seconds};
  }

  void print(Rates rates, double read) const {
    std::printf(
        "{\"fma_f32_gflops\": %.1f, \"dot_bf16_gflops\": %.1f, \"dot_int8_gops\": %.1f, \"read_gbytes_per_s\": %.1f, "
        "\"threads\": %d}\n",
        rates.fma / 1e9, rates.dot / 1e9, rates.bytes / 1e9, read / 1e9, threads_);
    std::fflush(stdout);
  }

  int threads_;
  int64_t share_;  // bytes that each thread reads
  std::vector<float> sink_;
  std::vector<double> work_;
  size_t memory_bytes_;
  char* memory_;
  Way way_{};
};

}  // namespace

int main_of(int argc, char** argv) {
  int threads = static_cast<int>(std::thread::hardware_concurrency());
  if (argc > 1) std::from_chars(argv[1], argv[1] + std::strlen(argv[1]), threads = 0);
  const bool watch = argc == 3 && std::string_view(argv[2]) == "--watch";
  if ((argc > 2 && !watch) || threads < 1 || threads > 1024) {
    std::fprintf(stderr, "usage: %s [THREADS [--watch]], 1 to 1024\n", argv[0]);
    return 2;
  }
  Machine machine(threads);
  machine.measure();
  for (int c; watch && (c = std::getchar()) != EOF;) {
    if (c == '\n') machine.measure_again();
  }
  return 0;
}

}  // namespace moe::bench

int main(int argc, char** argv) { return moe::bench::main_of(argc, argv); }
#endif
