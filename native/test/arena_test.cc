// The scratch memory of a stream's calls.
#include "core/arena.h"

#include <cstdlib>
#include <map>

#include "core/device.h"
#include "core/error.h"
#include "test/testing.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace moe::testing {
namespace {

constexpr size_t kAlignment = 64;

// Counts an arena's allocations.
class CountingDevice final : public Device {
 public:
  void* allocate(int64_t bytes) override {
    if (in_use_bytes() + bytes > limit) fail(MOE_OUT_OF_MEMORY, "no memory");
    ++allocations;
    void* memory =
        std::aligned_alloc(kAlignment, (static_cast<size_t>(bytes) + kAlignment - 1) / kAlignment * kAlignment);
    blocks[memory] = bytes;
    return memory;
  }
  void free(void* memory) override {
    ASSERT_EQ(blocks.erase(memory), 1u);
    std::free(memory);
  }
  int64_t in_use_bytes() const {
    int64_t sum = 0;
    for (const auto& [memory, bytes] : blocks) sum += bytes;
    return sum;
  }

  const Kernels& kernels() const override { std::abort(); }
  void describe(moe_device_info&) const override {}
  int default_threads() const override { return 1; }
  std::shared_ptr<Stream> create_stream(std::shared_ptr<Device>, int) override { return nullptr; }
  void trim() override {}
  moe_memory_usage memory_usage() const override { return {}; }
  void install(const moe_runtime_kernel&, const void*, int64_t) override {}

  std::map<void*, int64_t> blocks;
  int allocations = 0;
  int64_t limit = int64_t{1} << 30;
};

class ArenaTest : public ::testing::Test {
 protected:
  // Takes memory like a call with a nested call.
  static void call(Arena& arena, int64_t count) {
    const Arena::Frame frame(arena);
    auto* first = arena.take<float>(count);
    std::fill_n(first, count, 1.0f);
    {
      const Arena::Frame nested(arena);
      auto* inner = arena.take<double>(3 * count);
      std::fill_n(inner, 3 * count, 2.0);
    }
    auto* last = arena.take<char>(count);
    std::fill_n(last, count, 'x');
    EXPECT_EQ(std::count(first, first + count, 1.0f), count);
  }

  CountingDevice device;
};

TEST_F(ArenaTest, TakesInSequenceAndAligned) {
  Arena arena(&device, kAlignment, false);
  const Arena::Frame frame(arena);
  char* end = nullptr;
  for (int64_t count : {1, 64, 65, 0, 1000, 100000}) {
    char* taken = arena.take<char>(count);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(taken) % kAlignment, 0u);
    std::fill_n(taken, count, 'x');
    if (count < 100000) {
      EXPECT_GE(taken, end);
    }
    end = taken + count;
  }
}

TEST_F(ArenaTest, ANestedCallContinuesWhereItsCallerStandsAndGivesBack) {
  Arena arena(&device, kAlignment, false);
  const Arena::Frame frame(arena);
  const char* own = arena.take<char>(100);
  const char* inner = nullptr;
  for (int again = 0; again < 3; ++again) {
    const Arena::Frame nested(arena);
    const char* taken = arena.take<char>(100);
    EXPECT_GE(taken, own + 100);
    if (inner != nullptr) {
      EXPECT_EQ(taken, inner);
    }
    inner = taken;
  }
  EXPECT_EQ(arena.take<char>(100), inner);
}

TEST_F(ArenaTest, TheSecondCallOfASizeAllocatesNothing) {
  for (const bool asynchronous : {false, true}) {
    Arena arena(&device, kAlignment, asynchronous);
    for (int64_t count : {10, 5000, 1000000, 20}) {
      call(arena, count);
      const int before = device.allocations;
      call(arena, count);
      EXPECT_EQ(device.allocations, before) << count;
    }
  }
  EXPECT_TRUE(device.blocks.empty());
}

TEST_F(ArenaTest, MergesAtTheEndOfTheOutermostFrame) {
  Arena arena(&device, kAlignment, false);
  {
    const Arena::Frame frame(arena);
    for (int64_t count = 1000; count < 1000000; count *= 4) {
      const Arena::Frame nested(arena);
      arena.take<char>(count);
    }
    EXPECT_GT(device.blocks.size(), 1u);
  }
  EXPECT_EQ(device.blocks.size(), 1u);
  EXPECT_LT(device.in_use_bytes(), 1100000);
}

// Kernels may still use the chunks when a call ends.
TEST_F(ArenaTest, AnAsynchronousOneMergesWhenItIsTold) {
  Arena arena(&device, kAlignment, true);
  call(arena, 100000);
  const std::map<void*, int64_t> blocks = device.blocks;
  EXPECT_GT(blocks.size(), 1u);
  call(arena, 100000);
  EXPECT_EQ(device.blocks, blocks);
  {
    const Arena::Frame frame(arena);
    arena.merge();
    EXPECT_EQ(device.blocks, blocks);
  }
  const int64_t bytes = device.in_use_bytes();
  arena.merge();
  EXPECT_EQ(device.blocks.size(), 1u);
  EXPECT_LE(device.in_use_bytes(), bytes);
}

TEST_F(ArenaTest, PinnedChunksStayAndAreUsed) {
  Arena arena(&device, kAlignment, true);
  call(arena, 1000);
  arena.merge();
  arena.pin();
  const std::map<void*, int64_t> pinned = device.blocks;
  for (int64_t count : {2000, 4000, 100000}) call(arena, count);
  arena.merge();
  EXPECT_EQ(device.blocks.size(), pinned.size() + 1);
  for (const auto& [memory, bytes] : pinned) EXPECT_TRUE(device.blocks.contains(memory));
  const Arena::Frame frame(arena);
  EXPECT_TRUE(pinned.contains(arena.take<char>(1)));
}

TEST_F(ArenaTest, GrowingCapturesPinAFewTimesTheLargest) {
  Arena arena(&device, kAlignment, true);
  for (int64_t count = 1000; count < 200000; count += 1000) {
    const Arena::Frame frame(arena);
    arena.take<char>(count);
    arena.pin();
  }
  EXPECT_LT(device.in_use_bytes(), 4 * 200000);
}

TEST_F(ArenaTest, ACallThatFindsNoMemoryGivesBackWhatItTook) {
  Arena arena(&device, kAlignment, false);
  device.limit = 1000000;
  EXPECT_THROW(call(arena, 100000), Error);
  call(arena, 10000);
  device.limit *= 4;
  call(arena, 100000);
  EXPECT_EQ(device.blocks.size(), 1u);
}

#if defined(__SANITIZE_ADDRESS__)
TEST_F(ArenaTest, TheSanitizerRefusesWhatIsNotTaken) {
  Arena arena(&device, kAlignment, false);
  char* taken = nullptr;
  {
    const Arena::Frame frame(arena);
    taken = arena.take<char>(100);
    arena.take<char>(100);
    EXPECT_FALSE(__asan_address_is_poisoned(taken + 99));
    EXPECT_TRUE(__asan_address_is_poisoned(taken + 100));
    EXPECT_TRUE(__asan_address_is_poisoned(taken + 128));
  }
  EXPECT_TRUE(__asan_address_is_poisoned(taken));
}
#endif

}  // namespace
}  // namespace moe::testing
