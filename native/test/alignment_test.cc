// Tensors need only be aligned to their elements. A backend may use faster accesses for better alignment, with the same
// bits.
#include "test/testing.h"

namespace moe::testing {
namespace {

class AlignmentTest : public KernelTest {};

constexpr moe_dtype kFloatings[] = {MOE_FLOAT32, MOE_BFLOAT16};

TEST_F(AlignmentTest, Activations) {
  for (moe_dtype dtype : kFloatings) {
    for (int32_t activation : {MOE_GELU, MOE_SWIGLU}) {
      const Tensor x = Tensor::random(dtype, {5, 96}, 1), y(dtype, {5, is_gated(activation) ? 48 : 96});
      const Tensor dy = Tensor::random(dtype, {5, y.view().shape[1]}, 2), dx(dtype, {5, 96});
      const Tensor x1 = x.misaligned(), y1 = y.misaligned(3), dy1 = dy.misaligned(), dx1 = dx.misaligned(2);
      ASSERT_MOE_OK(moe_activation_forward(stream, activation_of(activation), x, y));
      ASSERT_MOE_OK(moe_activation_forward(stream, activation_of(activation), x1, y1));
      expect_same_bits(y, y1);
      ASSERT_MOE_OK(moe_activation_backward(stream, activation_of(activation), x, dy, dx));
      ASSERT_MOE_OK(moe_activation_backward(stream, activation_of(activation), x1, dy1, dx1));
      expect_same_bits(dx, dx1);
    }
  }
}

// Sizes with a tail.
TEST_F(AlignmentTest, ElementwiseKernels) {
  for (moe_dtype from : kFloatings) {
    for (moe_dtype to : kFloatings) {
      const Tensor a = Tensor::random(from, {1003}, 1), b = Tensor::random(to, {1003}, 2), y(to, {1003});
      const Tensor a1 = a.misaligned(), b1 = b.misaligned(3), y1 = y.misaligned(2);
      const auto expect_same = [&](const char* what, const auto& call) {
        ASSERT_MOE_OK(call(a, b, y)) << what;
        ASSERT_MOE_OK(call(a1, b1, y1)) << what;
        expect_same_bits(y, y1, what);
        ASSERT_MOE_OK(call(a, b1, y1)) << what;  // one aligned, the others not
        expect_same_bits(y, y1, what);
      };
      using T = const Tensor&;
      expect_same("fill", [&](T, T, T out) { return moe_fill(stream, 0.3f, out); });
      expect_same("cast", [&](T x, T, T out) { return moe_cast(stream, x, out); });
      expect_same("add", [&](T x, T z, T out) { return moe_add(stream, 0.1f, x, 3, z, out); });
      expect_same("clamp", [&](T x, T, T out) { return moe_clamp_forward(stream, 0.5f, x, out); });
      expect_same("exp", [&](T x, T, T out) { return moe_exp_forward(stream, 0.5f, x, out); });
      expect_same("exp's gradient", [&](T x, T z, T out) { return moe_exp_backward(stream, 0.5f, x, z, out); });
      expect_same("clamp's gradient", [&](T x, T z, T out) { return moe_clamp_backward(stream, 0.5f, x, z, out); });
    }
  }
}

TEST_F(AlignmentTest, RandomNumbers) {
  for (moe_dtype dtype : kFloatings) {
    for (uint64_t offset : {0, 3}) {
      const Tensor y(dtype, {4096});
      const Tensor y1 = y.misaligned(3);
      ASSERT_MOE_OK(moe_random_uniform(stream, 5, offset, y));
      ASSERT_MOE_OK(moe_random_uniform(stream, 5, offset, y1));
      expect_same_bits(y, y1);
      ASSERT_MOE_OK(moe_random_normal(stream, 5, offset, 0, 1, y));
      ASSERT_MOE_OK(moe_random_normal(stream, 5, offset, 0, 1, y1));
      expect_same_bits(y, y1);
    }
  }
}

TEST_F(AlignmentTest, Embeddings) {
  for (moe_dtype dtype : kFloatings) {
    const Tensor ids = Tensor::random(MOE_INT32, {70}, 1, 0, 9), table = Tensor::random(dtype, {9, 24}, 2);
    const Tensor y(dtype, {70, 24}), dtable(MOE_FLOAT32, {9, 24});
    const Tensor ids1 = ids.misaligned(), table1 = table.misaligned(), y1 = y.misaligned();
    const Tensor dtable1 = dtable.misaligned();
    ASSERT_MOE_OK(moe_embedding_forward(stream, ids, table, nullptr, nullptr, y));
    ASSERT_MOE_OK(moe_embedding_forward(stream, ids1, table1, nullptr, nullptr, y1));
    expect_same_bits(y, y1);
    ASSERT_MOE_OK(moe_embedding_backward(stream, ids, nullptr, y, dtable, nullptr));
    ASSERT_MOE_OK(moe_embedding_backward(stream, ids1, nullptr, y1, dtable1, nullptr));
    expect_same_bits(dtable, dtable1);
  }
}

TEST_F(AlignmentTest, Norms) {
  for (moe_dtype dtype : kFloatings) {
    const Tensor x = Tensor::random(dtype, {20, 640}, 1), dy = Tensor::random(dtype, {20, 640}, 2);
    const Tensor gamma = Tensor::random(MOE_FLOAT32, {640}, 3), beta = Tensor::random(MOE_FLOAT32, {640}, 4);
    const Tensor y(dtype, {20, 640}), mean(MOE_FLOAT32, {20}), rstd(MOE_FLOAT32, {20}), dx(dtype, {20, 640});
    const Tensor dgamma(MOE_FLOAT32, {640}), dbeta(MOE_FLOAT32, {640});
    const Tensor x1 = x.misaligned(), dy1 = dy.misaligned(), gamma1 = gamma.misaligned(), beta1 = beta.misaligned();
    const Tensor y1 = y.misaligned(), dx1 = dx.misaligned();
    const Tensor mean1 = mean.misaligned(), rstd1 = rstd.misaligned(), dgamma1 = dgamma.misaligned();
    const Tensor dbeta1 = dbeta.misaligned();
    ASSERT_MOE_OK(moe_layer_norm_forward(stream, norm(1e-5f, gamma, beta, mean, rstd), x, y));
    ASSERT_MOE_OK(moe_layer_norm_forward(stream, norm(1e-5f, gamma1, beta1, mean1, rstd1), x1, y1));
    expect_same_bits(y, y1);
    expect_same_bits(rstd, rstd1);
    ASSERT_MOE_OK(moe_layer_norm_backward(stream, norm(0, gamma, nullptr, mean, rstd), x, dy, dx, dgamma, dbeta));
    ASSERT_MOE_OK(
        moe_layer_norm_backward(stream, norm(0, gamma1, nullptr, mean1, rstd1), x1, dy1, dx1, dgamma1, dbeta1));
    expect_same_bits(dx, dx1);
    expect_same_bits(dgamma, dgamma1);
    expect_same_bits(dbeta, dbeta1);
  }
}

TEST_F(AlignmentTest, CrossEntropy) {
  for (moe_dtype dtype : kFloatings) {
    const Tensor logits = Tensor::random(dtype, {4, 1000}, 1), targets = Tensor::random(MOE_INT32, {4}, 2, -1, 1000);
    const Tensor losses(MOE_FLOAT32, {4}), dlogits(dtype, {4, 1000});
    const Tensor logits1 = logits.misaligned(), targets1 = targets.misaligned(), losses1 = losses.misaligned();
    const Tensor dlogits1 = dlogits.misaligned();
    ASSERT_MOE_OK(moe_cross_entropy(stream, tokens_of(0.1f, 1, targets, losses), logits, dlogits));
    ASSERT_MOE_OK(moe_cross_entropy(stream, tokens_of(0.1f, 1, targets1, losses1), logits1, dlogits1));
    expect_same_bits(losses, losses1);
    expect_same_bits(dlogits, dlogits1);
  }
}

TEST_F(AlignmentTest, OptimizerStepAndSquareSum) {
  const Tensor w = Tensor::random(MOE_FLOAT32, {4000}, 1), g = Tensor::random(MOE_FLOAT32, {4000}, 2);
  const Tensor m = Tensor::random(MOE_FLOAT32, {4000}, 3), v = Tensor::random(MOE_FLOAT32, {4000}, 4, 0, 1);
  const Tensor copy(MOE_BFLOAT16, {4000}), sum(MOE_FLOAT32, {1}), sum1(MOE_FLOAT32, {1});
  const Tensor w1 = w.misaligned(), g1 = g.misaligned(2), m1 = m.misaligned(3), v1 = v.misaligned();
  const Tensor copy1 = copy.misaligned();
  ASSERT_MOE_OK(moe_adamw_step(stream, adamw(0.1f, 0.9f, 0.99f, 1e-8f, 0.1f, 3, 0.5f), w, g, m, v, copy));
  ASSERT_MOE_OK(moe_adamw_step(stream, adamw(0.1f, 0.9f, 0.99f, 1e-8f, 0.1f, 3, 0.5f), w1, g1, m1, v1, copy1));
  expect_same_bits(w, w1);
  expect_same_bits(v, v1);
  expect_same_bits(copy, copy1);
  ASSERT_MOE_OK(moe_square_sum(stream, w, sum));
  ASSERT_MOE_OK(moe_square_sum(stream, w1, sum1));
  expect_same_bits(sum, sum1);
}

}  // namespace
}  // namespace moe::testing
