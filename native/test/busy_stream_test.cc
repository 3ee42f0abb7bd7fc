// A stream of a busy GPU: the emulation holds work back on request.
#include <chrono>
#include <future>

#include "test/emulation.h"

namespace moe::testing {
namespace {

class EmulatedBusyStreamTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    ::setenv("PANAMOE_CUDA_SYNCHRONOUS", "0", 1);
    ASSERT_MOE_OK(moe_stream_create(device, 1, &busy));
    ASSERT_MOE_OK(moe_stream_create(device, 1, &second));
    ::unsetenv("PANAMOE_CUDA_SYNCHRONOUS");
    hold(1);
  }
  void TearDown() override {
    hold(0);
    KernelTest::TearDown();
  }

  moe_status embed(const Tensor& ids, const Tensor& y) {
    return moe_embedding_forward(busy, ids, table, nullptr, nullptr, y);
  }

  // Makes streams work asynchronously, some time later.
  void work_late() { hold(2); }

  moe_stream busy = 0, second = 0;
  const Tensor table = Tensor::random(MOE_FLOAT32, {4, 8}, 1);

 private:
  void hold(int held) { emulation_function<void(int)>("simt_hold")(held); }
};

TEST_F(EmulatedBusyStreamTest, HasNotFinished) {
  const Tensor y(MOE_FLOAT32, {4});
  int32_t finished = 1;
  EXPECT_MOE_OK(moe_fill(busy, 3, y));
  EXPECT_MOE_OK(moe_stream_query(busy, &finished));
  EXPECT_EQ(finished, 0);
  EXPECT_MOE_OK(moe_stream_synchronize(busy));
  EXPECT_EQ(y[0], 3);
  EXPECT_MOE_OK(moe_stream_query(busy, &finished));
  EXPECT_EQ(finished, 1);
}

// A refusal that is noticed after a graph was launched is reported with the message of its own call.
TEST_F(EmulatedBusyStreamTest, KeepsTheWordsOfCallsBeforeAGraph) {
  const Tensor ids = Tensor::of(MOE_INT32, {2}, {1, 7}), y(MOE_FLOAT32, {2, 8}), z(MOE_FLOAT32, {2, 8});
  Tensor others = Tensor::of(MOE_INT32, {2}, {2, 3});
  moe_graph graph = 0;
  ASSERT_MOE_OK(moe_graph_begin(busy));
  ASSERT_MOE_OK(embed(others, z));
  ASSERT_MOE_OK(moe_graph_end(busy, &graph));
  EXPECT_MOE_OK(embed(ids, y));
  EXPECT_MOE_OK(moe_graph_launch(busy, graph));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "ids[1] is 7, expected 0 to 3", moe_stream_synchronize(busy));
  others.set(0, -5);
  EXPECT_MOE_OK(moe_graph_launch(busy, graph));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "ids[0] is -5, expected 0 to 3", moe_stream_synchronize(busy));
  EXPECT_MOE_OK(moe_stream_synchronize(busy));
}

// A thread that synchronizes runs before or after a call, never between its checks and its kernel.
TEST_F(EmulatedBusyStreamTest, KeepsTheWordsOfACallThatAnotherThreadWaitsIn) {
  const Tensor ids = Tensor::of(MOE_INT32, {2}, {1, 7}), y(MOE_FLOAT32, {2, 8});
  std::future<std::string> refusal;
  emulation_function<void(std::function<void()>)>("simt_before_launch")([&] {
    refusal = std::async(std::launch::async,
                         [this] { return moe_stream_synchronize(busy) == MOE_OK ? std::string() : last_error(); });
    refusal.wait_for(std::chrono::milliseconds(100));
  });
  EXPECT_MOE_OK(embed(ids, y));
  EXPECT_NE(refusal.get().find("ids[1] is 7, expected 0 to 3"), std::string::npos);
  EXPECT_MOE_OK(moe_stream_synchronize(busy));
}

// The emulation finds a missing wait: another stream's work that was not waited for is not visible.
TEST_F(EmulatedBusyStreamTest, SeesNothingOfAnotherStreamWithoutAWait) {
  const Tensor x(MOE_FLOAT32, {4}), y(MOE_FLOAT32, {4});
  EXPECT_MOE_OK(moe_fill(busy, 3, x));
  EXPECT_MOE_OK(moe_memory_copy(second, x, y));
  EXPECT_MOE_OK(moe_stream_synchronize(second));
  EXPECT_EQ(y[0], 0);
  EXPECT_MOE_OK(moe_stream_synchronize(busy));  // its work needs x
}

TEST_F(EmulatedBusyStreamTest, WaitsForAnotherStreamUpToAMark) {
  for (const bool late : {false, true}) {
    if (late) work_late();
    const Tensor x(MOE_FLOAT32, {4}), y(MOE_FLOAT32, {4});
    int64_t mark = 0;
    EXPECT_MOE_OK(moe_fill(busy, 3, x));
    EXPECT_MOE_OK(moe_stream_mark(busy, &mark));
    EXPECT_MOE_OK(moe_stream_wait(second, busy, mark));
    EXPECT_MOE_OK(moe_memory_copy(second, x, y));
    EXPECT_MOE_OK(moe_fill(busy, late ? 3 : 5, x));  // after the mark
    EXPECT_MOE_OK(moe_stream_synchronize(second));
    EXPECT_EQ(y[0], 3);
    EXPECT_MOE_OK(moe_stream_synchronize(busy));
  }
}

// There are fewer events than marks.
TEST_F(EmulatedBusyStreamTest, WaitsForAMarkOfLongAgo) {
  const Tensor x(MOE_FLOAT32, {4}), y(MOE_FLOAT32, {4});
  int64_t first = 0, last = 0;
  EXPECT_MOE_OK(moe_fill(busy, 3, x));
  EXPECT_MOE_OK(moe_stream_mark(busy, &first));
  for (int i = 0; i < 200; ++i) EXPECT_MOE_OK(moe_stream_mark(busy, &last));
  EXPECT_EQ(last, first + 200);
  EXPECT_MOE_OK(moe_stream_wait(second, busy, first));
  EXPECT_MOE_OK(moe_memory_copy(second, x, y));
  EXPECT_MOE_OK(moe_stream_synchronize(second));
  EXPECT_EQ(y[0], 3);
}

TEST_F(EmulatedBusyStreamTest, RefusesMarksOfOthers) {
  int64_t mark = 0;
  EXPECT_MOE_OK(moe_stream_mark(busy, &mark));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "mark is 2, but the other stream has given 1 marks",
                     moe_stream_wait(second, busy, mark + 1));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "mark is 0", moe_stream_wait(second, busy, 0));
  EXPECT_MOE_OK(moe_stream_wait(busy, busy, mark));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "mark is null", moe_stream_mark(busy, nullptr));
  moe_device other = 0;
  moe_stream stranger = 0;
  ASSERT_MOE_OK(moe_device_open("simt", 1, &other));
  ASSERT_MOE_OK(moe_stream_create(other, 1, &stranger));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "other is a stream of another device",
                     moe_stream_wait(stranger, busy, mark));
  EXPECT_MOE_OK(moe_device_close(other));
  moe_graph graph = 0;
  ASSERT_MOE_OK(moe_graph_begin(second));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "between moe_graph_begin and moe_graph_end",
                     moe_stream_wait(second, busy, mark));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "between moe_graph_begin and moe_graph_end", moe_stream_mark(second, &mark));
  EXPECT_MOE_OK(moe_graph_end(second, &graph));
}

}  // namespace
}  // namespace moe::testing
