// Copies between host and device: moe_memory_write, moe_memory_read, moe_memory_zero.
#include <sys/mman.h>

#include <algorithm>

#include "test/emulation.h"

namespace moe::testing {
namespace {

class MemoryTest : public KernelTest {
 protected:
  // Memory of the device that the host cannot access, although the tests' tensors are in managed memory (main.cc).
  void SetUp() override {
    test_memory(1);
    const bool managed = std::getenv("PANAMOE_CUDA_MANAGED") != nullptr;
    ::unsetenv("PANAMOE_CUDA_MANAGED");
    KernelTest::SetUp();
    if (managed) ::setenv("PANAMOE_CUDA_MANAGED", "1", 1);
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

// A cache is as large as it may become, and most of it is never written.
TEST_F(MemoryTest, ZeroesOfALargeBlockTakeNoRoomUntilTheyAreWritten) {
  if (!on_cpu()) GTEST_SKIP() << "the memory of another device";
  constexpr int64_t kLarge = int64_t{64} << 20, kPage = 4096;
  void* large = nullptr;
  ASSERT_MOE_OK(moe_memory_allocate(device, kLarge, &large));
  auto* const bytes = static_cast<char*>(large);
  std::fill_n(bytes, kLarge, char{7});
  const auto resident = [&] {
    std::vector<unsigned char> pages(kLarge / kPage);
    EXPECT_EQ(::mincore(large, kLarge, pages.data()), 0);
    return std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return (page & 1) != 0; });
  };
  EXPECT_EQ(resident(), kLarge / kPage);
  ASSERT_MOE_OK(moe_memory_zero(stream, large, kLarge - 5));
  EXPECT_LE(resident(), (int64_t{2} << 20) / kPage);  // the last page, which may be huge
  EXPECT_EQ(std::count(bytes, bytes + kLarge, char{7}), 5);
  EXPECT_EQ(std::count(bytes, bytes + kLarge, char{0}), kLarge - 5);
  ASSERT_MOE_OK(moe_memory_zero(stream, bytes + 1, kLarge - 1));  // not from the block's beginning
  EXPECT_EQ(std::count(bytes, bytes + kLarge, char{0}), kLarge);
  ASSERT_MOE_OK(moe_memory_free(device, large));
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

// Illegal values are named in messages, even if the memory is the device's.
class MemoryRefusalTest : public MemoryTest {
 protected:
  // A copy of a tensor in the device's memory.
  moe_tensor there(const Tensor& tensor) {
    moe_tensor copy = tensor.view();
    EXPECT_MOE_OK(moe_memory_allocate(device, copy.bytes, &copy.data));
    EXPECT_MOE_OK(moe_memory_write(stream, tensor.view().data, copy.bytes, copy.data));
    return copy;
  }
  moe_tensor integers(std::initializer_list<int64_t> shape, const std::vector<double>& values) {
    return there(Tensor::of(MOE_INT32, shape, values));
  }
  moe_tensor floats(std::initializer_list<int64_t> shape) { return there(Tensor::random(MOE_FLOAT32, shape, 1)); }
  // The status of a call, or else of the work that it gave to the stream.
  moe_status finished(moe_status status) const { return status == MOE_OK ? moe_stream_synchronize(stream) : status; }
};

#define EXPECT_REFUSED_VALUE(text, call) EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, text, finished(call))

TEST_F(MemoryRefusalTest, NamesIndices) {
  const moe_tensor table = floats({4, 8}), y = floats({2, 8}), good = integers({2}, {0, 3}),
                   bad = integers({2}, {1, 7});
  EXPECT_REFUSED_VALUE("ids[1] is 7, expected 0 to 3",
                       moe_embedding_forward(stream, &bad, &table, nullptr, nullptr, &y));
  EXPECT_REFUSED_VALUE("positions[1] is 7", moe_embedding_forward(stream, &good, &table, &bad, &table, &y));
  EXPECT_REFUSED_VALUE("ids[1] is 7", moe_embedding_backward(stream, &bad, nullptr, &y, &table, nullptr));
  const moe_tensor heads = floats({2, 3, 8}), turned = floats({2, 3, 8}), angles = floats({4, 4});
  EXPECT_REFUSED_VALUE("positions[1] is 7",
                       moe_rotary(stream, &heads, rotary_angles(&bad, &angles, &angles), 1, &turned));
  const moe_tensor losses = floats({2}), logits = floats({2, 5});
  EXPECT_REFUSED_VALUE("targets[1] is 7", moe_cross_entropy(stream, tokens_of(0, 1, &bad, &losses), &logits, nullptr));
  const moe_tensor weights = floats({5, 8});
  EXPECT_REFUSED_VALUE("targets[1] is 7", moe_linear_cross_entropy(stream, tokens_of(0, 1, &bad, &losses), &y, &weights,
                                                                   nullptr, nullptr));
  const moe_tensor keys = floats({2, 4, 1, 8}), values = floats({2, 4, 1, 8}), q = floats({2, 1, 8}),
                   out = floats({2, 1, 8}), blocks = integers({2, 1}, {0, 9}), slots = integers({2}, {0, 1});
  EXPECT_REFUSED_VALUE("table[1, 0] is 9",
                       moe_attention_decode(stream, attention_config(1), &q, nullptr,
                                            cache_places(&keys, &values, &blocks, &slots, &good), &out));
  EXPECT_REFUSED_VALUE("slot[1] is 7",
                       moe_cache_append(stream, &q, &q, cache_places(&keys, &values, &blocks, &bad, &good)));
}

TEST_F(MemoryRefusalTest, NamesRoutes) {
  const moe_tensor x = floats({2, 8}), y = floats({2, 4}), rows = floats({2, 8}), weights = floats({3, 4, 8});
  const moe_tensor offsets = integers({4}, {0, 1, 2, 2}), falling = integers({4}, {0, 2, 1, 2});
  const moe_tensor expert = integers({2, 1}, {0, 1}), none = integers({2, 1}, {0, 5}), zero = integers({2, 1}, {0, 0});
  EXPECT_REFUSED_VALUE("offsets[2] is 1, less than", moe_expert_forward(stream, &x, &falling, &weights, &y, nullptr));
  EXPECT_REFUSED_VALUE("offsets[2] is 1, less than",
                       moe_dispatch_forward(stream, &x, table_of(&expert, &zero, &falling), &rows));
  EXPECT_REFUSED_VALUE("expert[1, 0] is 5", moe_dispatch_forward(stream, &x, table_of(&none, &zero, &offsets), &rows));
}

TEST_F(MemoryRefusalTest, NamesWhatTheGateReads) {
  const Tensor given = Tensor::of(MOE_FLOAT32, {2, 3}, {1, 2, 3, 4, NAN, 6});
  const moe_tensor logits = there(given), scores = floats({2, 3}), weight = floats({2, 1}), losses = floats({2});
  const moe_tensor expert = integers({2, 1}, {0, 1}), choice = integers({2, 1}, {0, 4}),
                   places = integers({2, 1}, {0, 0}), counts = integers({3}, {0, 0, 0}),
                   offsets = integers({4}, {0, 0, 0, 0});
  moe_gate_config config{};
  config.struct_size = sizeof(config);
  ASSERT_MOE_OK(moe_gate_config_default(&config));
  config.top_k = 1;
  EXPECT_REFUSED_VALUE(
      "logits[1, 1] is NaN",
      moe_gate_forward(stream, &config, gate_inputs(&logits, nullptr, nullptr, nullptr, nullptr),
                       all_routes(&scores, &expert, &places, &weight, &choice, &counts, &offsets, &losses)));
  const moe_tensor chosen = integers({2, 1}, {0, 4}), kept = integers({2, 1}, {0, 1}), dlogits = floats({2, 3});
  EXPECT_REFUSED_VALUE(
      "choice[1] is 4",
      moe_gate_backward(stream, &config, gate_inputs(&scores, nullptr, nullptr, nullptr, nullptr),
                        chosen_routes(&scores, &kept, &chosen), gate_gradients(0, 0, &weight, &dlogits)));
  const moe_tensor used = integers({1}, {0}), taken = integers({1, 3}, {0, 0, 0});
  const moe_tensor sums = there(Tensor(MOE_FLOAT64, {1, 3}));
  EXPECT_REFUSED_VALUE("choice[1] is 4", moe_balance_forward(stream, balance_config(MOE_SOFTMAX, 1, 1), &scores,
                                                             &chosen, balance_sums(&used, &taken, &sums)));
}

// On a stream that holds its work back, like a busy GPU.
class EmulatedMemoryTest : public MemoryTest {
 protected:
  struct Work {
    uint64_t launches, waits, copies;
  };

  void SetUp() override {
    MemoryTest::SetUp();
    ::setenv("PANAMOE_CUDA_SYNCHRONOUS", "0", 1);
    ASSERT_MOE_OK(moe_stream_create(device, 1, &busy));
    ::unsetenv("PANAMOE_CUDA_SYNCHRONOUS");
    hold(1);
  }
  void TearDown() override {
    hold(0);
    MemoryTest::TearDown();
  }

  void hold(int held) { emulation_function<void(int)>("simt_hold")(held); }
  Work work() {
    Work counts{};
    emulation_function<void(Work*)>("simt_work")(&counts);
    return counts;
  }

  moe_stream busy = 0;
};

// A stream that another library was given may hold a collective: freeing would wait for it, and it for other threads.
TEST_F(EmulatedMemoryTest, MemoryIsFreedOnceNoCollectiveIsUnderWay) {
  constexpr int64_t kBytes = 64 << 20;
  moe_device other = 0;
  ::setenv("PANAMOE_CUDA_MEMORY_LIMIT", "1000000000000", 1);  // more than the GPU has: all free memory counts
  const moe_status opened = moe_device_open("simt", 1, &other);
  ::unsetenv("PANAMOE_CUDA_MEMORY_LIMIT");
  ASSERT_MOE_OK(opened);
  const auto free_bytes = [&] {
    moe_device_info info{};
    info.struct_size = sizeof info;
    EXPECT_MOE_OK(moe_device_describe(other, &info));
    return info.memory_available;
  };
  const auto allocate_and_trim = [&] {
    void* block = nullptr;
    ASSERT_MOE_OK(moe_memory_allocate(other, kBytes, &block));
    ASSERT_MOE_OK(moe_memory_free(other, block));
    ASSERT_MOE_OK(moe_memory_trim(other));
  };
  const int64_t before = free_bytes();
  ASSERT_MOE_OK(moe_memory_zero(busy, memory, 4));
  allocate_and_trim();
  EXPECT_EQ(free_bytes(), before) << "no other library has the busy stream";
  void* handle = nullptr;
  ASSERT_MOE_OK(moe_stream_native(busy, &handle));
  allocate_and_trim();
  EXPECT_LE(free_bytes(), before - kBytes);
  ASSERT_MOE_OK(moe_stream_synchronize(busy));
  ASSERT_MOE_OK(moe_memory_trim(other));
  EXPECT_EQ(free_bytes(), before);
  ASSERT_MOE_OK(moe_device_close(other));
}

TEST_F(EmulatedMemoryTest, SmallTransfersWaitOnlyToBeRead) {
  const Work before = work();
  std::vector<int32_t> ids = {1, 2, 3};
  ASSERT_MOE_OK(moe_memory_write(busy, ids.data(), 12, memory));
  ids = {7, 8, 9};
  ASSERT_MOE_OK(moe_memory_write(busy, ids.data(), 8, at(4)));
  ASSERT_MOE_OK(moe_memory_zero(busy, at(8), 4));
  EXPECT_EQ(work().waits, before.waits);
  ASSERT_MOE_OK(moe_memory_read(busy, memory, 12, ids.data()));
  EXPECT_EQ(ids, (std::vector<int32_t>{1, 7, 0}));
  const Work after = work();
  EXPECT_EQ(after.waits, before.waits + 1);
  EXPECT_EQ(after.copies, before.copies + 3);
  EXPECT_EQ(after.launches, before.launches + 1);
}

// More bytes than the staging memory: its parts are reused once their copies are done.
TEST_F(EmulatedMemoryTest, ManyWritesTakeTheStagingMemoryInTurn) {
  constexpr int64_t kPiece = 50000;
  const Work before = work();
  std::vector<uint8_t> expected;
  for (int piece = 0; piece < 40; ++piece) {
    auto host = counted(kPiece, piece);
    expected.insert(expected.end(), host.begin(), host.end());
    ASSERT_MOE_OK(moe_memory_write(busy, host.data(), kPiece, at(piece * kPiece)));
    host.assign(host.size(), 0);
    if (piece == 7) {
      EXPECT_EQ(work().waits, before.waits) << "there was room";
    }
  }
  EXPECT_GT(work().waits, before.waits);
  std::vector<uint8_t> seen(expected.size());
  ASSERT_MOE_OK(moe_memory_read(busy, memory, 40 * kPiece, seen.data()));
  EXPECT_EQ(seen, expected);
}

TEST_F(EmulatedMemoryTest, AReadReportsWhatAKernelRefused) {
  const Tensor ids = Tensor::of(MOE_INT32, {2}, {1, 7}), table(MOE_FLOAT32, {4, 8}), y(MOE_FLOAT32, {2, 8});
  std::vector<uint8_t> host(64, 9);
  ASSERT_MOE_OK(moe_memory_zero(busy, memory, 64));
  ASSERT_MOE_OK(moe_embedding_forward(busy, ids, table, nullptr, nullptr, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "ids[1] is 7, expected 0 to 3",
                     moe_memory_read(busy, memory, 64, host.data()));
  EXPECT_EQ(host, std::vector<uint8_t>(64, 9));
  EXPECT_MOE_OK(moe_memory_read(busy, memory, 64, host.data()));
  EXPECT_EQ(host, std::vector<uint8_t>(64, 0));
}

TEST_F(EmulatedMemoryTest, AGraphRecordsZeroAlone) {
  hold(0);
  const moe_tensor y{sizeof(moe_tensor), MOE_FLOAT32, memory, 16, 1, MOE_ROW_MAJOR, {4}};
  std::vector<float> host(4, 5);
  moe_graph graph = 0;
  ASSERT_MOE_OK(moe_graph_begin(busy));
  ASSERT_MOE_OK(moe_fill(busy, 3, &y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "a graph keeps no values of the host",
                     moe_memory_write(busy, host.data(), 4, memory));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "nothing has run that could be awaited",
                     moe_memory_read(busy, memory, 16, host.data()));
  EXPECT_MOE_OK(moe_memory_zero(busy, at(4), 8));
  ASSERT_MOE_OK(moe_graph_end(busy, &graph));
  for (int launch = 0; launch < 2; ++launch) {
    EXPECT_MOE_OK(moe_memory_write(busy, std::vector<float>(4, 8).data(), 16, memory));
    EXPECT_MOE_OK(moe_graph_launch(busy, graph));
    EXPECT_MOE_OK(moe_memory_read(busy, memory, 16, host.data()));
    EXPECT_EQ(host, (std::vector<float>{3, 0, 0, 3}));
  }
  EXPECT_MOE_OK(moe_graph_destroy(graph));
}

}  // namespace
}  // namespace moe::testing
