// Graphs: launches, refusals, scratch memory, and other threads during a capture.
#include <thread>

#include "test/testing.h"

namespace moe::testing {
namespace {

class GpuGraphTest : public KernelTest {
 protected:
  // y = value, as a graph.
  moe_graph fill_graph(moe_stream on, float value, const Tensor& y) {
    moe_graph graph = 0;
    EXPECT_MOE_OK(moe_graph_begin(on));
    EXPECT_MOE_OK(moe_fill(on, value, y));
    EXPECT_MOE_OK(moe_graph_end(on, &graph));
    return graph;
  }
};

TEST_F(GpuGraphTest, RunsItsCallsAtEveryLaunch) {
  Tensor y(MOE_FLOAT32, {4});
  const moe_graph graph = fill_graph(stream, 3, y);
  EXPECT_EQ(y[0], 0);
  for (int launch = 0; launch < 2; ++launch) {
    y.fill(0);
    EXPECT_MOE_OK(moe_graph_launch(stream, graph));
    EXPECT_MOE_OK(moe_stream_synchronize(stream));
    EXPECT_EQ(y[3], 3);
  }
  EXPECT_MOE_OK(moe_graph_destroy(graph));
}

// A graph's calls use the scratch memory of the stream that captured them.
TEST_F(GpuGraphTest, RunsOnItsOwnStreamAlone) {
  const Tensor y(MOE_FLOAT32, {4});
  const moe_graph graph = fill_graph(stream, 3, y);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "graph was made on another stream", moe_graph_launch(single, graph));
  EXPECT_EQ(y[0], 0);
  EXPECT_MOE_OK(moe_stream_destroy(stream));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "graph was made on another stream", moe_graph_launch(single, graph));
  EXPECT_MOE_OK(moe_graph_destroy(graph));
}

// Later calls of the stream never take the scratch memory of a graph's calls.
TEST_F(GpuGraphTest, KeepsTheScratchMemoryOfItsCalls) {
  const Tensor x = Tensor::of(MOE_FLOAT32, {2}, {3, 4}), sum(MOE_FLOAT32, {1});
  const Tensor ids(MOE_INT32, {8192}), dy(MOE_FLOAT32, {8192, 1}), dtable(MOE_FLOAT32, {1, 1});
  moe_graph graph = 0;
  ASSERT_MOE_OK(moe_graph_begin(stream));
  ASSERT_MOE_OK(moe_square_sum(stream, x, sum));
  ASSERT_MOE_OK(moe_graph_end(stream, &graph));
  ASSERT_MOE_OK(moe_embedding_backward(stream, ids, nullptr, dy, dtable, nullptr));
  ASSERT_MOE_OK(moe_stream_synchronize(stream));
  std::vector<void*> blocks(32);  // of sizes that the stream's memory may have had
  const std::vector<uint8_t> sevens(1024, 7);
  for (size_t i = 0; i < blocks.size(); ++i) {
    ASSERT_MOE_OK(moe_memory_allocate(device, 1024 << i / 4, &blocks[i]));
    ASSERT_MOE_OK(moe_memory_write(stream, sevens.data(), 1024, blocks[i]));
  }
  EXPECT_MOE_OK(moe_graph_launch(stream, graph));
  EXPECT_MOE_OK(moe_stream_synchronize(stream));
  EXPECT_EQ(sum[0], 25);
  for (void* block : blocks) {
    std::vector<uint8_t> held(1024);
    EXPECT_MOE_OK(moe_memory_read(stream, block, 1024, held.data()));
    EXPECT_EQ(held, sevens);
    EXPECT_MOE_OK(moe_memory_free(device, block));
  }
  EXPECT_MOE_OK(moe_graph_destroy(graph));
}

TEST_F(GpuGraphTest, IsNotBrokenByAThreadThatAsksOrWaits) {
  const Tensor y(MOE_FLOAT32, {4});
  ASSERT_MOE_OK(moe_graph_begin(stream));
  ASSERT_MOE_OK(moe_fill(stream, 3, y));
  std::thread([this] {
    int32_t finished = 1;
    EXPECT_MOE_OK(moe_stream_query(stream, &finished));
    EXPECT_EQ(finished, 0);
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "between moe_graph_begin and moe_graph_end",
                       moe_stream_synchronize(stream));
  }).join();
  moe_graph graph = 0;
  ASSERT_MOE_OK(moe_graph_end(stream, &graph));
  EXPECT_MOE_OK(moe_graph_launch(stream, graph));
  EXPECT_EQ(y[0], 3);
}

TEST_F(GpuGraphTest, GoesWithItsDevice) {
  moe_device other = 0;
  moe_stream its_stream = 0;
  ASSERT_MOE_OK(moe_device_open(backend_under_test(), 0, &other));
  ASSERT_MOE_OK(moe_stream_create(other, 1, &its_stream));
  const Tensor y(MOE_FLOAT32, {4});
  const moe_graph graph = fill_graph(its_stream, 3, y);
  EXPECT_MOE_OK(moe_stream_destroy(its_stream));
  ASSERT_MOE_OK(moe_device_close(other));
  EXPECT_MOE_REFUSED(MOE_INVALID_HANDLE, "closed", moe_graph_destroy(graph));
}

}  // namespace
}  // namespace moe::testing
