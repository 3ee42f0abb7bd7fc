// A stream's threads: guarantees for parallel steps of a kernel, also if threads are scarce.
#include <pthread.h>
#include <sys/prctl.h>

#include <atomic>
#include <csignal>
#include <ctime>
#include <stdexcept>
#include <thread>

#include "cpu/parallel.h"
#include "test/structs.h"
#include "test/testing.h"
#include "test/threads.h"

namespace moe::cpu {
namespace {

constexpr int64_t kLong = 1'000'000;  // nanoseconds: enough to wake all threads

// body(member), as a lambda.
template <typename Body>
void run(Team& team, int wanted, Body body) {
  team.run(wanted, [](void* context, int member) { (*static_cast<Body*>(context))(member); }, &body);
}

// Returns when this many members have arrived.
void await_all(std::atomic<int>& here, int members) {
  for (++here; here < members;) std::this_thread::yield();
}

TEST(TeamTest, EveryTaskRunsOnce) {
  for (int threads = 1; threads <= 8; ++threads) {
    CpuStream stream(nullptr, threads);
    for (const int64_t tasks : {0, 1, 2, 7, 8, 63, 64, 65, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(tasks)), came(static_cast<size_t>(threads));
      std::atomic<int> here{0};
      parallel_tasks(stream, tasks, kLong, [&](int64_t task, int member) {
        if (came.at(static_cast<size_t>(member)).exchange(1) == 0) {
          await_all(here, static_cast<int>(std::min<int64_t>(tasks, threads)));  // no thread can do it alone
        }
        ++runs[static_cast<size_t>(task)];
      });
      for (const auto& each : runs) EXPECT_EQ(each, 1);
    }
  }
}

TEST(TeamTest, BlocksCoverEveryElementOnce) {
  CpuStream stream(nullptr, 5);
  for (const int64_t count : {0, 1, 4, 5, 6, 1000}) {
    std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
    parallel_blocks(stream, count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
    });
    for (const auto& each : visits) EXPECT_EQ(each, 1);
  }
}

TEST(TeamTest, EveryMemberComesOnceWhereTheCallerStays) {
  Team team(6);
  for (int round = 0; round < 100; ++round) {
    std::atomic<int> here{0};
    std::vector<std::atomic<int>> came(6);
    run(team, 6, [&](int member) {
      ++came[static_cast<size_t>(member)];
      await_all(here, 6);
    });
    for (const auto& each : came) EXPECT_EQ(each, 1);
  }
}

TEST(TeamTest, TensOfThousandsOfTinyRuns) {
  CpuStream stream(nullptr, 4);
  std::vector<int64_t> sums(8);  // not atomic: writes of workers must be visible when the run ends
  for (int64_t round = 0; round < 30000; ++round) {
    parallel_tasks(stream, 8, kLong, [&](int64_t task, int) { sums[static_cast<size_t>(task)] += round; });
    if (round % 1000 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));  // workers fall asleep
  }
  for (const int64_t sum : sums) EXPECT_EQ(sum, int64_t{30000} * 29999 / 2);
}

TEST(TeamTest, AnExceptionReachesTheCallerWhenAllAreDone) {
  Team team(4);
  for (int thrower = 0; thrower < 4; ++thrower) {
    std::atomic<int> here{0}, done{0};
    const auto body = [&](int member) {
      await_all(here, 4);
      if (member == thrower) throw std::runtime_error("member " + std::to_string(member));
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      ++done;
    };
    try {
      run(team, 4, body);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(error.what(), "member " + std::to_string(thrower));
    }
    EXPECT_EQ(done, 3);
  }
  std::atomic<int> here{0};
  EXPECT_THROW(run(team, 4,
                   [&](int) {
                     await_all(here, 4);
                     throw std::bad_alloc();
                   }),
               std::bad_alloc);
  here = 0;
  run(team, 4, [&](int) { await_all(here, 4); });
  EXPECT_EQ(here, 4);
}

TEST(TeamTest, WhatATaskCallsRunsOnItsOwnThread) {
  CpuStream stream(nullptr, 4);
  std::atomic<int> inner_tasks{0}, elsewhere{0};
  parallel_tasks(stream, 16, kLong, [&](int64_t, int member) {
    const auto outer = std::this_thread::get_id();
    parallel_tasks(stream, 8, kLong, [&](int64_t, int inner_member) {
      ++inner_tasks;
      elsewhere += std::this_thread::get_id() != outer || inner_member != member;
    });
  });
  EXPECT_EQ(inner_tasks, 128);
  EXPECT_EQ(elsewhere, 0);
  EXPECT_FALSE(Team::at_work());
}

TEST(TeamTest, IsAsLargeAsTheSystemAllows) {
  for (int granted = 0; granted < 4; ++granted) {
    const testing::ScarceThreads scarce(granted);
    Team team(8);
    for (int round = 0; round < 20; ++round) {
      std::atomic<int> here{0};
      std::vector<std::atomic<int>> came(8);
      run(team, 8, [&](int member) {
        ++came.at(static_cast<size_t>(member));
        await_all(here, granted + 1);
      });
      for (int member = 0; member < 8; ++member) {
        EXPECT_EQ(came[static_cast<size_t>(member)], member <= granted ? 1 : 0) << member << " of " << granted;
      }
    }
  }
}

TEST(TeamTest, WorkersAreNamedAndLeaveSignalsToOthers) {
  Team team(3);
  std::atomic<int> here{0};
  std::vector<std::string> names(3);
  std::vector<std::pair<bool, bool>> blocked(3);
  run(team, 3, [&](int member) {
    const auto at = static_cast<size_t>(member);
    char name[16] = "";
    ::prctl(PR_GET_NAME, name);
    names[at] = name;
    sigset_t mask;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    blocked[at] = {::sigismember(&mask, SIGTERM) == 1, ::sigismember(&mask, SIGSEGV) == 1};
    await_all(here, 3);
  });
  EXPECT_EQ(names[1], "panamoe-1");
  EXPECT_EQ(names[2], "panamoe-2");
  EXPECT_EQ(blocked[0], std::pair(false, false));
  EXPECT_EQ(blocked[1], std::pair(true, false));
  EXPECT_EQ(blocked[2], std::pair(true, false));
}

TEST(TeamTest, ThreadsThatAreGoneAreNotCounted) {
  for (const int idle : {0, 1}) {  // milliseconds before the team ends: its workers ask for work, or sleep
    Team team(3);
    std::atomic<int> here{0}, done{0};
    run(team, 3, [&](int) {
      await_all(here, 3);
      EXPECT_EQ(Team::awake_threads(), 3);
      await_all(done, 3);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(idle));
  }
  EXPECT_EQ(Team::awake_threads(), 0);
}

TEST(TeamTest, IdleWorkersSleep) {
  Team team(2);
  std::atomic<int> here{0};
  clockid_t clock{};
  run(team, 2, [&](int member) {
    if (member == 1) ::pthread_getcpuclockid(::pthread_self(), &clock);
    await_all(here, 2);
  });
  const auto used = [&] {
    timespec time{};
    ::clock_gettime(clock, &time);
    return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
  };
  bool asleep = false;
  for (int round = 0; round < 1000 && !asleep; ++round) {
    const int64_t before = used();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    asleep = used() == before;
  }
  EXPECT_TRUE(asleep);
}

}  // namespace
}  // namespace moe::cpu

namespace moe::testing {
namespace {

class ScarceThreadsTest : public KernelTest {};

// Products, attention and norms on streams of one to eight threads, of which the system grants none, some or all.
TEST_F(ScarceThreadsTest, TheSameBitsWithHoweverManyThreads) {
  if (!on_cpu()) GTEST_SKIP() << "a GPU's streams have no threads";
  const Tensor x = Tensor::random(MOE_FLOAT32, {96, 80}, 1), weights = Tensor::random(MOE_BFLOAT16, {4, 200, 80}, 2);
  const Tensor offsets = Tensor::of(MOE_INT32, {5}, {0, 10, 10, 50, 96});
  const Tensor q = Tensor::random(MOE_FLOAT32, {2, 40, 4, 16}, 3);
  const Tensor gamma = Tensor::random(MOE_FLOAT32, {80}, 4), target(MOE_FLOAT32, {96, 80}), rstd(MOE_FLOAT32, {96});
  const auto compute = [&](moe_stream on) {
    const Tensor y(MOE_FLOAT32, {96, 200}), out(MOE_FLOAT32, {2, 40, 4, 16}), dx(MOE_FLOAT32, {96, 80});
    const Tensor dgamma(MOE_FLOAT32, {80}), dweights(MOE_FLOAT32, {4, 200, 80});
    EXPECT_MOE_OK(moe_expert_forward(on, x, offsets, weights, y, Epilogue(MOE_GELU)));
    EXPECT_MOE_OK(moe_expert_backward_weights(on, 0, y, x, offsets, dweights, nullptr));
    EXPECT_MOE_OK(moe_attention_forward(on, attention_config(0.25f), attention_inputs(q, q, q), out, nullptr));
    EXPECT_MOE_OK(moe_rms_norm_forward(on, norm(1e-5f, gamma, nullptr, nullptr, rstd), x, target));
    EXPECT_MOE_OK(moe_rms_norm_backward(on, norm(0, gamma, nullptr, nullptr, rstd), x, target, dx, dgamma));
    std::vector<uint8_t> bits;
    for (const Tensor* each : {&y, &out, &dx, &dgamma, &dweights}) {
      const std::vector<uint8_t> own = each->bits();
      bits.insert(bits.end(), own.begin(), own.end());
    }
    return bits;
  };
  const std::vector<uint8_t> expected = compute(single);
  for (int threads = 1; threads <= 8; ++threads) {
    for (const int granted : {0, 1, 3, 7}) {
      const ScarceThreads scarce(granted);
      moe_stream on = 0;
      ASSERT_MOE_OK(moe_stream_create(device, threads, &on));
      for (int again = 0; again < 3; ++again) EXPECT_EQ(compute(on), expected) << threads << " threads, " << granted;
      ASSERT_MOE_OK(moe_stream_destroy(on));
    }
  }
}

}  // namespace
}  // namespace moe::testing
