// Products of layers with few outputs or inputs and a float32 operand, such as the router: error against float64, bits
// independent of other rows, and how many multiprocessors they occupy.
#include <array>

#include "cuda/gemm/skinny.h"
#include "test/gemm_reference.h"
#include "test/testing.h"

namespace moe::testing {
namespace {

class GemmSkinnyTest : public KernelTest {};

constexpr moe_dtype kDtypes[] = {MOE_FLOAT32, MOE_BFLOAT16};

// x with every element's absolute value.
Tensor magnitudes(const Tensor& x) {
  Tensor y = converted(x, static_cast<moe_dtype>(x.view().dtype));
  for (int64_t i = 0; i < y.count(); ++i) y.set(i, std::abs(y[i]));
  return y;
}

// Each element of c is within 2^-20 of the sum of its products' magnitudes: some float32 roundings. Two bfloat16 parts
// of an operand would give 2^-17.
void expect_product(const Tensor& c, const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b,
                    double already = 0) {
  std::vector<double> expected = product(a, transpose_a, b, transpose_b);
  std::vector<double> bounds = product(magnitudes(a), transpose_a, magnitudes(b), transpose_b);
  for (double& value : expected) value += already;
  for (double& bound : bounds) bound = (bound + already) * 0x1p-20;
  expect_near(c, expected, bounds, 0, "c");
}

TEST_F(GemmSkinnyTest, LogitsAreNearFloat64) {
  uint64_t seed = 0;
  for (const auto& [tokens, experts, hidden] : {std::array<int64_t, 3>{1, 2, 1},
                                                {9, 3, 5},
                                                {33, 8, 255},
                                                {5, 64, 257},
                                                {65, 128, 513},
                                                {2, 512, 1025},
                                                {70, 130, 97},
                                                {1, 8, 4099}}) {
    for (moe_dtype dtype : kDtypes) {
      const Tensor x = Tensor::random(dtype, {tokens, hidden}, ++seed);
      const Tensor weight = Tensor::random(MOE_FLOAT32, {experts, hidden}, ++seed);
      const Tensor logits(MOE_FLOAT32, {tokens, experts});
      ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), x, weight, logits, nullptr));
      expect_product(logits, x, false, weight, true);
      if (HasFailure()) FAIL() << "at " << tokens << " tokens, " << experts << " experts, " << hidden << ", " << dtype;
    }
  }
}

TEST_F(GemmSkinnyTest, ARowsBitsDependOnNoOtherRow) {
  for (const auto& [experts, hidden] : {std::pair<int64_t, int64_t>{8, 517}, {130, 259}}) {
    for (moe_dtype dtype : kDtypes) {
      const Tensor x = Tensor::random(dtype, {257, hidden}, 1);
      const Tensor weight = Tensor::random(MOE_FLOAT32, {experts, hidden}, 2);
      const Tensor bias = Tensor::random(MOE_FLOAT32, {experts}, 3), all(MOE_FLOAT32, {257, experts});
      ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), x, weight, all, Epilogue(MOE_IDENTITY, bias)));
      for (int64_t tokens : {1, 2, 16, 17, 32, 33, 64, 65, 128, 129}) {
        const int64_t first = 257 - tokens;
        const Tensor logits(MOE_FLOAT32, {tokens, experts});
        ASSERT_MOE_OK(
            moe_gemm(stream, form(0, 1), slice(x, first, tokens), weight, logits, Epilogue(MOE_IDENTITY, bias)));
        expect_same_bits(logits, slice(all, first, tokens), "the last rows alone");
        if (HasFailure()) FAIL() << "at " << tokens << " tokens, " << experts << " experts, dtype " << dtype;
      }
    }
  }
}

TEST_F(GemmSkinnyTest, GradientsAreNearFloat64) {
  uint64_t seed = 20;
  for (const auto& [tokens, experts, hidden] :
       {std::array<int64_t, 3>{1, 2, 3}, {300, 8, 65}, {257, 40, 33}, {530, 70, 140}, {31, 513, 67}}) {
    for (moe_dtype dtype : kDtypes) {
      const Tensor x = Tensor::random(dtype, {tokens, hidden}, ++seed);
      const Tensor weight = Tensor::random(MOE_FLOAT32, {experts, hidden}, ++seed);
      const Tensor dlogits = Tensor::random(MOE_FLOAT32, {tokens, experts}, ++seed);
      Tensor dx(MOE_FLOAT32, {tokens, hidden}), dweight(MOE_FLOAT32, {experts, hidden});
      ASSERT_MOE_OK(moe_gemm(stream, form(0, 0), dlogits, weight, dx, nullptr));
      expect_product(dx, dlogits, false, weight, false);
      dweight.fill(1);
      ASSERT_MOE_OK(moe_gemm(stream, form(1, 0, 1), dlogits, x, dweight, nullptr));
      expect_product(dweight, dlogits, true, x, false, 1);
      if (HasFailure()) FAIL() << "at " << tokens << " tokens, " << experts << " experts, " << hidden << ", " << dtype;
    }
  }
}

// Sums of splits get the same epilogue as sums of one split.
TEST_F(GemmSkinnyTest, SplitsMeetEveryEpilogue) {
  const int64_t tokens = 37, columns = 150, hidden = 601;
  const Tensor x = Tensor::random(MOE_FLOAT32, {tokens, hidden}, 1), bias = Tensor::random(MOE_FLOAT32, {columns}, 3);
  const Tensor weight = Tensor::random(MOE_FLOAT32, {columns, hidden}, 2, -0.1, 0.1);
  std::vector<double> expected = product(x, false, weight, true);
  add_bias(expected, bias);
  for (int activation = MOE_IDENTITY; activation <= MOE_GEGLU_TANH; ++activation) {
    for (moe_dtype dtype : kDtypes) {
      const Tensor y(dtype, {tokens, is_gated(activation) ? columns / 2 : columns});
      const Tensor preactivation(MOE_FLOAT32, {tokens, columns});
      ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), x, weight, y, Epilogue(activation, bias, preactivation)));
      expect_near(preactivation, expected, 1e-5, 1e-6, "preactivation");
      expect_near(y, activated(activation, expected, columns), 2e-5, dtype == MOE_BFLOAT16 ? 0x1p-8 : 2e-6, "y");
      if (HasFailure()) FAIL() << "at activation " << activation << ", dtype " << dtype;
    }
  }
}

// Blocks of the router's products on an H100 (132 multiprocessors); computed without a GPU.
TEST(GemmSkinnyTilesTest, FillAnH100From512Tokens) {
  namespace skinny = cuda::skinny;
  constexpr int64_t kProcessors = 132, kHidden = 2048;
  const auto fill = [](int64_t rows, int64_t columns, int64_t inner, int64_t depth) {
    const int64_t splits = ceil_div(inner, depth);
    const skinny::Tile tile = skinny::tile_for(rows, columns, splits, kProcessors);
    EXPECT_TRUE(splits == 1 || splits * tile.rows * tile.columns <= skinny::kMostAdded);
    return 10 * skinny::tiles_of(tile, rows, columns, splits) >= 9 * kProcessors;
  };
  for (int64_t experts : {2, 8, 16, 64, 128, 256, 512}) {
    for (int64_t tokens : {512, 600, 1000, 1024, 2048, 4096, 65536}) {
      EXPECT_TRUE(fill(tokens, experts, kHidden, skinny::split_depth(experts, kHidden)))
          << "logits of " << tokens << " tokens, " << experts << " experts";
      EXPECT_TRUE(fill(tokens, kHidden, experts, skinny::split_depth(kHidden, experts)))
          << "gradient of " << tokens << " tokens, " << experts << " experts";
    }
    EXPECT_TRUE(fill(experts, kHidden, 4096, skinny::gradient_split_depth(experts, kHidden, 4096)))
        << "gradient of the weights, " << experts;
  }
}

}  // namespace
}  // namespace moe::testing
