// Time of a run in which the team does nothing: the least overhead of a parallel step of a kernel.
//   team_bench [THREADS]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "cpu/team.h"

namespace {

using Clock = std::chrono::steady_clock;

void wait(std::chrono::microseconds pause) {
  for (const auto end = Clock::now() + pause; Clock::now() < end;) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : static_cast<int>(std::thread::hardware_concurrency());
  moe::cpu::Team team(threads);
  const auto nothing = [](void*, int) {};
  for (const int pause : {0, 10, 100}) {  // microseconds between runs
    std::vector<double> nanoseconds;
    for (int i = 0; i < 20000; ++i) {
      wait(std::chrono::microseconds(pause));
      const auto begin = Clock::now();
      team.run(threads, nothing, nullptr);
      nanoseconds.push_back(std::chrono::duration<double, std::nano>(Clock::now() - begin).count());
    }
    std::ranges::sort(nanoseconds);
    std::printf("%d threads, every %3d us: median %6.0f ns, 99th percentile %6.0f ns\n", threads, pause,
                nanoseconds[nanoseconds.size() / 2], nanoseconds[nanoseconds.size() * 99 / 100]);
  }
}
