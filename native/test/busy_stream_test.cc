// A stream of a card that is at work: the emulation holds work back on request.
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

  moe_stream busy = 0;
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

// A refusal that is noticed late, after a graph was launched, is reported with the message of its own call.
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

// A thread that synchronizes comes before a call or after it, never between its checks and its kernel.
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

}  // namespace
}  // namespace moe::testing
