// SwiGLU with parameters: y = (clamp(u) + up_offset) g' sigmoid(alpha g'), alone and in the epilogue of products.
#include "test/gemm_reference.h"

namespace moe::testing {
namespace {

const moe_activation_config kGptOss = activation_of(MOE_SWIGLU, 7, 1.702f, 1).value;
const moe_activation_config kNarrow = activation_of(MOE_SWIGLU, 0.5f, -0.75f, -0.25f).value;

class ClampedSwigluTest : public KernelTest {
 protected:
  // Values on both sides of the limits.
  static Tensor wide(moe_dtype dtype, std::initializer_list<int64_t> shape, uint64_t seed) {
    return Tensor::random(dtype, shape, seed, -12, 12);
  }
};

TEST_F(ClampedSwigluTest, MatchesFloat64) {
  for (const auto& config : {kGptOss, kNarrow}) {
    for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
      for (int64_t width : {1, 3, 17, 64, 129}) {
        const Tensor x = wide(dtype, {5, 2 * width}, static_cast<uint64_t>(width)), y(dtype, {5, width});
        ASSERT_MOE_OK(moe_activation_forward(stream, &config, x, y));
        expect_near(y, activated(config, values_of(x), 2 * width), 1e-6, dtype == MOE_FLOAT32 ? 2e-6 : 8e-3, "y");
      }
    }
  }
}

TEST_F(ClampedSwigluTest, GradientsMatchCentralDifferences) {
  for (const auto& config : {kGptOss, kNarrow}) {
    for (int64_t width : {1, 19, 64}) {
      const Tensor x = wide(MOE_FLOAT32, {3, 2 * width}, 7), dy = Tensor::random(MOE_FLOAT32, {3, width}, 8);
      const Tensor dx(MOE_FLOAT32, {3, 2 * width});
      ASSERT_MOE_OK(moe_activation_backward(stream, &config, x, dy, dx));
      std::vector<double> values = values_of(x);
      const std::vector<double> expected = differences(values, 1e-6, [&](size_t) {
        const std::vector<double> y = activated(config, values, 2 * width);
        double loss = 0;
        for (size_t i = 0; i < y.size(); ++i) loss += y[i] * dy[static_cast<int64_t>(i)];
        return loss;
      });
      expect_near(dx, expected, 2e-5, 1e-5, "dx");
      ASSERT_MOE_OK(moe_activation_backward(stream, &config, x, dy, x));
      expect_same_bits(x, dx, "in place");
    }
  }
}

// Like torch.clamp: the gradient passes at the limit and is 0 beyond it.
TEST_F(ClampedSwigluTest, GradientsEndAtTheLimit) {
  const Tensor x = Tensor::of(MOE_FLOAT32, {3, 2}, {7, 7, 7.5, -7.5, -9, 1});
  const Tensor dy = Tensor::of(MOE_FLOAT32, {3, 1}, {1, 1, 1});
  const Tensor dx(MOE_FLOAT32, {3, 2});
  ASSERT_MOE_OK(moe_activation_backward(stream, &kGptOss, x, dy, dx));
  EXPECT_NE(dx[0], 0);
  EXPECT_NE(dx[1], 0);
  EXPECT_EQ(dx[2], 0);
  EXPECT_EQ(dx[3], 0);
  EXPECT_NE(dx[4], 0);  // a gate has no lower limit
  EXPECT_NE(dx[5], 0);
}

TEST_F(ClampedSwigluTest, ProductsFuseIt) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t rows : {1, 7, 40}) {
      const int64_t inner = 24, columns = 70;
      const Tensor a = Tensor::random(dtype, {rows, inner}, 1, -3, 3),
                   b = Tensor::random(dtype, {columns, inner}, 2, -3, 3);
      const Tensor bias = Tensor::random(MOE_FLOAT32, {columns}, 3), c(MOE_FLOAT32, {rows, columns / 2});
      const Tensor pre(MOE_FLOAT32, {rows, columns}), apart(MOE_FLOAT32, {rows, columns / 2});
      ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, b, c, Epilogue(kGptOss, bias, pre)));
      ASSERT_MOE_OK(moe_activation_forward(stream, &kGptOss, pre, apart));
      expect_same_bits(c, apart, "fused and apart");
      std::vector<double> sums = product(a, false, b, true);
      add_bias(sums, bias);
      expect_near(c, activated(kGptOss, sums, columns), 1e-3, 1e-4, "c");

      const Tensor weights = Tensor::random(dtype, {2, columns, inner}, 2, -3, 3), y(MOE_FLOAT32, {rows, columns / 2});
      const Tensor offsets = Tensor::of(MOE_INT32, {3}, {0, static_cast<double>(rows / 2), static_cast<double>(rows)});
      ASSERT_MOE_OK(moe_expert_forward(stream, a, offsets, weights, y, Epilogue(kGptOss, nullptr, pre)));
      ASSERT_MOE_OK(moe_activation_forward(stream, &kGptOss, pre, apart));
      expect_same_bits(y, apart, "experts");
    }
  }
}

TEST_F(ClampedSwigluTest, IsTheSameOnAnyNumberOfThreads) {
  const Tensor x = wide(MOE_FLOAT32, {301, 2 * 129}, 4), one(MOE_FLOAT32, {301, 129}), three(MOE_FLOAT32, {301, 129});
  ASSERT_MOE_OK(moe_activation_forward(single, &kGptOss, x, one));
  ASSERT_MOE_OK(moe_activation_forward(triple, &kGptOss, x, three));
  expect_same_bits(one, three);
}

TEST_F(ClampedSwigluTest, KeepsNaN) {
  const Tensor x = Tensor::of(MOE_FLOAT32, {2, 2}, {NAN, 1, 1, NAN}), y(MOE_FLOAT32, {2, 1});
  ASSERT_MOE_OK(moe_activation_forward(stream, &kGptOss, x, y));
  EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]));
}

TEST_F(ClampedSwigluTest, Refusals) {
  const Tensor x(MOE_FLOAT32, {2, 6}), y(MOE_FLOAT32, {2, 3});
  const auto refused = [&](const char* text, moe_activation_config config) {
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, text, moe_activation_forward(stream, &config, x, y));
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, text, moe_activation_backward(stream, &config, x, y, x));
  };
  refused("activation.limit is 0, expected more than 0", activation_of(MOE_SWIGLU, 0));
  refused("activation.limit is nan", activation_of(MOE_SWIGLU, NAN));
  refused("activation.alpha is inf", activation_of(MOE_SWIGLU, 7, INFINITY));
  refused("activation.up_offset is nan", activation_of(MOE_SWIGLU, 7, 1, NAN));
  refused("only SwiGLU takes", activation_of(MOE_GELU, 7));
  moe_activation_config config = kGptOss;
  config.struct_size = 8;
  refused("activation has struct_size 8, expected 20", config);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "activation is null", moe_activation_forward(stream, nullptr, x, y));
  config.struct_size = sizeof(config);
  ASSERT_MOE_OK(moe_activation_config_default(&config));
  EXPECT_EQ(config.kind, MOE_IDENTITY);
  EXPECT_EQ(config.limit, INFINITY);
}

}  // namespace
}  // namespace moe::testing
