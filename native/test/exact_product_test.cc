// Products of small integers, whose sums are exact in float32 in any order: every kernel family gives the same bits.
// Also prints the bits of other products, to compare two families (ci/gpu.d/wgmma).
#include <cstdio>

#include "test/gemm_reference.h"
#include "test/testing.h"

namespace moe::testing {
namespace {

class ExactProductTest : public KernelTest {
 protected:
  // x @ weights per expert, in uneven groups; rows and widths fill no tile.
  Tensor products(const Tensor& x, const Tensor& weights) {
    const Tensor offsets = Tensor::of(MOE_INT32, {5}, {0, 3, 3, 140, 300});
    Tensor y(MOE_FLOAT32, {x.view().shape[0], weights.view().shape[1]});
    EXPECT_MOE_OK(moe_expert_forward(stream, x, offsets, weights, y, Epilogue(MOE_IDENTITY)));
    EXPECT_MOE_OK(moe_stream_synchronize(stream));
    return y;
  }
};

TEST_F(ExactProductTest, OfSmallIntegers) {
  const int64_t rows = 300, columns = 264, inner = 200;
  Tensor x(MOE_BFLOAT16, {rows, inner}), weights(MOE_BFLOAT16, {4, columns, inner});
  for (int64_t i = 0; i < x.count(); ++i) x.set(i, static_cast<double>(i * 7 % 17 - 8));
  for (int64_t i = 0; i < weights.count(); ++i) weights.set(i, static_cast<double>(i * 5 % 13 - 6));
  const Tensor y = products(x, weights);
  const std::vector<int64_t> starts = {0, 3, 3, 140, 300};
  for (int64_t e = 0; e < 4; ++e) {
    const int64_t first = starts[e], count = starts[e + 1] - first;
    expect_near(slice(y, first, count), product(slice(x, first, count), false, matrix(weights, e), true), 0, 0, "y");
  }
}

// Groups of as many rows as an instruction multiplies, with weights as they lie and transposed.
class ExactRowsTest : public ExactProductTest, public ::testing::WithParamInterface<int64_t> {};

TEST_P(ExactRowsTest, OfSmallIntegers) {
  const int64_t rows = GetParam(), width = 256, inner = 192;
  Tensor x(MOE_BFLOAT16, {2 * rows, inner}), weights(MOE_BFLOAT16, {2, width, inner}),
      dx(MOE_FLOAT32, {2 * rows, width});
  Tensor transposed(MOE_BFLOAT16, {2, inner, width});
  for (int64_t i = 0; i < x.count(); ++i) x.set(i, static_cast<double>(i * 7 % 17 - 8));
  for (int64_t i = 0; i < weights.count(); ++i) {
    const double value = static_cast<double>(i * 5 % 13 - 6);
    weights.set(i, value);
    transposed.set(i / (width * inner) * width * inner + i % inner * width + i / inner % width, value);
  }
  Tensor offsets(MOE_INT32, {3}), y(MOE_FLOAT32, {2 * rows, width});
  for (int64_t e = 0; e < 3; ++e) offsets.set(e, static_cast<double>(e * rows));
  EXPECT_MOE_OK(moe_expert_forward(stream, x, offsets, weights, y, Epilogue(MOE_IDENTITY)));
  EXPECT_MOE_OK(moe_expert_backward_input(stream, x, offsets, transposed, dx));
  for (int64_t e = 0; e < 2; ++e) {
    const auto expected = product(slice(x, e * rows, rows), false, matrix(weights, e), true);
    expect_near(slice(y, e * rows, rows), expected, 0, 0, "y");
    expect_near(slice(dx, e * rows, rows), expected, 0, 0, "dx");
  }
}

INSTANTIATE_TEST_SUITE_P(ExactRows, ExactRowsTest, ::testing::Values(8, 16, 32, 64, 128, 256),
                         [](const auto& rows) { return "of" + std::to_string(rows.param) + "_"; });

TEST_F(ExactProductTest, PrintsTheBitsOfOtherProducts) {
  const Tensor x = Tensor::random(MOE_BFLOAT16, {300, 200}, 1),
               weights = Tensor::random(MOE_BFLOAT16, {4, 264, 200}, 2);
  const Tensor y = products(x, weights);
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (uint8_t byte : y.bits()) hash = (hash ^ byte) * 0x100000001b3;
  EXPECT_EQ(products(x, weights).bits(), y.bits()) << "two runs differ";
  std::printf("bits of the products: %016llx\n", static_cast<unsigned long long>(hash));
}

}  // namespace
}  // namespace moe::testing
