// Addresses of GEMM operands past 2^31 elements. The pointers are not valid, and nothing is read.
#include <gtest/gtest.h>

#include "cuda/gemm/tile.h"

namespace moe::cuda {
namespace {

const auto* const kOperand = reinterpret_cast<const Bfloat16*>(uintptr_t{1} << 40);

Product product_of(Groups groups, int64_t stride, bool transposed, int64_t b_elements) {
  constexpr int32_t size = INT32_MAX - 1024;
  const Matrix operand{kOperand, MOE_BFLOAT16, stride, transposed, true};
  return {groups,  1,       nullptr,    size,    size,         size,
          operand, operand, b_elements, nullptr, MOE_IDENTITY, Gating(moe_activation_config{}),
          false,   {},      {}};
}

TEST(OperandTest, SidesBeginPast2To31Elements) {
  const int64_t stride = 70001, b_elements = int64_t{1} << 24;
  const TileIndex tile{.group = 1000, .begin = 600000, .rows = 500000, .inner = 70001, .row = 300032, .column = 128000};
  const Product rows = product_of(Groups::kOfRows, stride, false, b_elements);
  EXPECT_EQ((side_a<Bfloat16, false>(rows, tile).data - kOperand), 900032 * stride);
  EXPECT_EQ((side_b<Bfloat16, false>(rows, tile).data - kOperand), 1000 * b_elements + 128000 * stride);
  const Product inner = product_of(Groups::kOfInner, stride, true, 0);
  EXPECT_EQ((side_a<Bfloat16, true>(inner, tile).data - kOperand), 600000 * stride + 300032);
  EXPECT_EQ((side_b<Bfloat16, true>(inner, tile).data - kOperand), 600000 * stride + 128000);
}

// Lines of 2^26 elements: of a panel of 128, those from the 32nd on are past 2^31. SwiGLU's up half is even further.
TEST(OperandTest, PanelsReachPast2To31Elements) {
  constexpr int lines = 128, depth = 32, threads = 128;
  const int64_t stride = int64_t{1} << 26;
  for (int up : {0, 640}) {
    for (threadIdx.x = 0; threadIdx.x < threads; ++threadIdx.x) {
      using Along = PanelReader<Bfloat16, false, lines, depth, threads>;
      const Along along(Side<Bfloat16>{kOperand, stride, true, lines, up});
      for (int i = 0; i < Along::kCount; ++i) {
        const int line = Along::line(i);
        const int64_t row = up == 0 ? line : line_in_half(line) + (line_is_up(line) ? up : 0);
        ASSERT_EQ(along.chunk(i, depth).from - kOperand, row * stride + Along::k(i)) << line;
      }
      using Down = PanelReader<Bfloat16, true, lines, depth, threads>;
      Down down(Side<Bfloat16>{kOperand, stride, true, lines, 0});
      down.advance();
      for (int i = 0; i < Down::kCount; ++i) {
        ASSERT_EQ(down.chunk(i, depth).from - kOperand, (depth + Down::k(i)) * stride + Down::line(i));
      }
    }
  }
}

}  // namespace
}  // namespace moe::cuda
