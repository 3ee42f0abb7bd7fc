#include "test/testing.h"

namespace moe::testing {
namespace {

class OptimizerTest : public KernelTest {};

TEST_F(OptimizerTest, TenStepsMatchFloat64) {
  for (int64_t size : {0, 1, 7, 8, 9, 33, 40001}) {
    Tensor w = Tensor::random(MOE_FLOAT32, {size}, 1), m(MOE_FLOAT32, {size}), v(MOE_FLOAT32, {size});
    const Tensor copy(MOE_BFLOAT16, {size});
    std::vector<double> weights, first(static_cast<size_t>(size)), second(static_cast<size_t>(size));
    for (int64_t i = 0; i < size; ++i) weights.push_back(w[i]);
    for (int64_t step = 1; step <= 10; ++step) {
      const Tensor gradient = Tensor::random(MOE_FLOAT32, {size}, 10 + static_cast<uint64_t>(step));
      ASSERT_MOE_OK(
          moe_adamw_step(stream, adamw(0.01f, 0.9f, 0.95f, 1e-8f, 0.1f, step, 0.5f), w, gradient, m, v, copy));
      for (size_t i = 0; i < weights.size(); ++i) {
        const double g = gradient[static_cast<int64_t>(i)] * 0.5, b1 = 0.9f, b2 = 0.95f, rate = 0.01f;
        weights[i] *= 1 - rate * 0.1f;
        first[i] = b1 * first[i] + (1 - b1) * g;
        second[i] = b2 * second[i] + (1 - b2) * g * g;
        const double m_hat = first[i] / (1 - std::pow(b1, step)), v_hat = second[i] / (1 - std::pow(b2, step));
        weights[i] -= rate * m_hat / (std::sqrt(v_hat) + 1e-8f);
      }
    }
    expect_near(w, weights, 2e-6, 2e-6, "parameter");
    expect_near(m, first, 1e-7, 1e-5, "first moment");
    expect_near(v, second, 1e-8, 1e-5, "second moment");
    for (int64_t i = 0; i < size; ++i) ASSERT_EQ(copy.data<uint16_t>()[i], to_bfloat16(static_cast<float>(w[i])));
  }
}

TEST_F(OptimizerTest, SquareSumMatchesFloat64OnEveryThreadCount) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t size : {0, 1, 5, 4095, 4096, 4097, 100003}) {
      const Tensor x = Tensor::random(dtype, {size}, 3);
      const Tensor one(MOE_FLOAT32, {1}), two(MOE_FLOAT32, {1}), three(MOE_FLOAT32, {1});
      double want = 0;
      for (int64_t i = 0; i < size; ++i) want += x[i] * x[i];
      ASSERT_MOE_OK(moe_square_sum(single, x, one));
      ASSERT_MOE_OK(moe_square_sum(stream, x, two));
      ASSERT_MOE_OK(moe_square_sum(triple, x, three));
      EXPECT_EQ(one[0], static_cast<float>(want)) << "float64 sums differ by less than a float32's last bit";
      expect_same_bits(one, two);
      expect_same_bits(one, three);
    }
  }
}

TEST_F(OptimizerTest, SquareSumPassesNanAndInfinity) {
  Tensor x = Tensor::random(MOE_FLOAT32, {5000}, 1), sum(MOE_FLOAT32, {1});
  x.set(4500, INFINITY);
  ASSERT_MOE_OK(moe_square_sum(stream, x, sum));
  EXPECT_EQ(sum[0], INFINITY);
  x.set(10, NAN);
  ASSERT_MOE_OK(moe_square_sum(stream, x, sum));
  EXPECT_TRUE(std::isnan(sum[0]));
}

TEST_F(OptimizerTest, Refuses) {
  const Tensor w(MOE_FLOAT32, {4}), g(MOE_FLOAT32, {4}), m(MOE_FLOAT32, {4}), v(MOE_FLOAT32, {4});
  const Tensor small(MOE_FLOAT32, {3});
  const auto step = [&](float beta1, int64_t count, const Tensor& gradient, const moe_tensor* copy) {
    return moe_adamw_step(stream, adamw(0.1f, beta1, 0.9f, 1e-8f, 0, count, 1), w, gradient, m, v, copy);
  };
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "beta1 is 1,", step(1, 1, g, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "step is 0", step(0.9f, 0, g, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "has 3 elements, expected 4", step(0.9f, 1, small, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "copy is float32", step(0.9f, 1, g, g));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "parameter and gradient share memory", step(0.9f, 1, w, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "sum has shape [4], expected [1]", moe_square_sum(stream, w, g));
}

}  // namespace
}  // namespace moe::testing
