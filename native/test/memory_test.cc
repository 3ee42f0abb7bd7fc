// Bytes between host and device: moe_memory_write, moe_memory_read, moe_memory_zero.
#include "test/testing.h"

namespace moe::testing {
namespace {

class MemoryTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    ASSERT_MOE_OK(moe_memory_allocate(device, kBytes, &memory));
  }

  std::vector<uint8_t> read(int64_t bytes, int64_t from = 0) {
    std::vector<uint8_t> host(static_cast<size_t>(bytes));
    EXPECT_MOE_OK(moe_memory_read(stream, at(from), bytes, host.data()));
    return host;
  }
  char* at(int64_t offset) const { return static_cast<char*>(memory) + offset; }

  static constexpr int64_t kBytes = 3 << 20;  // more than a stream stages at once
  void* memory = nullptr;
};

std::vector<uint8_t> counted(int64_t bytes, int first) {
  std::vector<uint8_t> host(static_cast<size_t>(bytes));
  for (size_t i = 0; i < host.size(); ++i) host[i] = static_cast<uint8_t>(static_cast<size_t>(first) + i * 7 + i / 251);
  return host;
}

TEST_F(MemoryTest, ReadsWhatWasWritten) {
  for (int64_t bytes : {int64_t{1}, int64_t{3}, int64_t{4096}, kBytes / 2 + 1, kBytes - 7}) {
    auto host = counted(bytes, static_cast<int>(bytes % 100));
    const auto expected = host;
    ASSERT_MOE_OK(moe_memory_write(stream, host.data(), bytes, at(5)));
    host.assign(host.size(), 0);  // may change once the call has returned
    EXPECT_EQ(read(bytes, 5), expected) << bytes;
  }
}

TEST_F(MemoryTest, ZeroesTheseBytesAlone) {
  auto expected = counted(1000, 1);
  ASSERT_MOE_OK(moe_memory_write(stream, expected.data(), 1000, memory));
  ASSERT_MOE_OK(moe_memory_zero(stream, at(3), 500));
  std::fill_n(expected.begin() + 3, 500, uint8_t{0});
  EXPECT_EQ(read(1000), expected);
}

TEST_F(MemoryTest, ComesAfterTheStreamsEarlierWork) {
  const moe_tensor y{sizeof(moe_tensor), MOE_FLOAT32, memory, 400, 1, MOE_ROW_MAJOR, {100}};
  const std::vector<float> twos(50, 2);
  std::vector<float> seen(100);
  ASSERT_MOE_OK(moe_fill(stream, 1, &y));
  ASSERT_MOE_OK(moe_memory_write(stream, twos.data(), 200, memory));
  ASSERT_MOE_OK(moe_memory_zero(stream, at(396), 4));
  ASSERT_MOE_OK(moe_add(stream, 1, &y, 1, &y, &y));
  ASSERT_MOE_OK(moe_memory_read(stream, memory, 400, seen.data()));
  std::vector<float> expected(100, 2);
  std::fill_n(expected.begin(), 50, 4.0f);
  expected[99] = 0;
  EXPECT_EQ(seen, expected);
}

TEST_F(MemoryTest, RefusesBadArguments) {
  const std::vector<uint8_t> before = read(64);
  std::vector<uint8_t> host(64, 9);
  EXPECT_MOE_REFUSED(MOE_INVALID_HANDLE, "stream", moe_memory_write(0, host.data(), 64, memory));
  EXPECT_MOE_REFUSED(MOE_INVALID_HANDLE, "stream", moe_memory_read(device, memory, 64, host.data()));
  EXPECT_MOE_REFUSED(MOE_INVALID_HANDLE, "stream", moe_memory_zero(1, memory, 64));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "host is null", moe_memory_write(stream, nullptr, 64, memory));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "memory is null", moe_memory_write(stream, host.data(), 64, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "memory is null", moe_memory_read(stream, nullptr, 1, host.data()));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "host is null", moe_memory_read(stream, memory, 1, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "memory is null", moe_memory_zero(stream, nullptr, 1));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bytes is -1, expected 0 or more",
                     moe_memory_write(stream, host.data(), -1, memory));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bytes is -5", moe_memory_read(stream, memory, -5, host.data()));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bytes is", moe_memory_zero(stream, memory, INT64_MIN));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "host and memory overlap", moe_memory_write(stream, memory, 64, at(63)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "host and memory overlap", moe_memory_read(stream, at(63), 64, memory));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "host and memory overlap", moe_memory_read(stream, memory, 1, memory));
  EXPECT_EQ(read(64), before);
  EXPECT_EQ(host, std::vector<uint8_t>(64, 9));
  EXPECT_MOE_OK(moe_memory_write(stream, nullptr, 0, nullptr));
  EXPECT_MOE_OK(moe_memory_read(stream, memory, 0, memory));
  EXPECT_MOE_OK(moe_memory_zero(stream, nullptr, 0));
}

}  // namespace
}  // namespace moe::testing
