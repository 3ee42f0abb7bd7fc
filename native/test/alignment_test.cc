// Tensors are aligned to their elements only, and a backend may reach well aligned ones otherwise. Not a bit of a
// result depends on it.
#include "test/testing.h"

namespace moe::testing {
namespace {

// The tensor's values once more, `elements` behind a place that is aligned to 64 bytes.
class Shifted {
 public:
  Shifted(const Tensor& original, int64_t elements)
      : memory_(static_cast<moe_dtype>(original.view().dtype), {original.count() + elements}) {
    const int64_t offset = elements * (original.view().bytes / original.count());
    view_ = original.view();
    view_.data = memory_.data<char>() + offset;
    std::copy_n(original.data<char>(), original.view().bytes, memory_.data<char>() + offset);
  }
  operator const moe_tensor*() const { return &view_; }
  std::vector<uint8_t> bits() const {
    const auto* begin = static_cast<const uint8_t*>(view_.data);
    return {begin, begin + view_.bytes};
  }

 private:
  Tensor memory_;
  moe_tensor view_;
};

class AlignmentTest : public KernelTest {};

constexpr moe_dtype kFloatings[] = {MOE_FLOAT32, MOE_BFLOAT16};

TEST_F(AlignmentTest, Activations) {
  for (moe_dtype dtype : kFloatings) {
    for (int32_t activation : {MOE_GELU, MOE_SWIGLU}) {
      const Tensor x = Tensor::random(dtype, {5, 96}, 1), y(dtype, {5, activation == MOE_SWIGLU ? 48 : 96});
      const Tensor dy = Tensor::random(dtype, {5, y.view().shape[1]}, 2), dx(dtype, {5, 96});
      const Shifted x1(x, 1), y1(y, 3), dy1(dy, 1), dx1(dx, 2);
      ASSERT_MOE_OK(moe_activation_forward(stream, activation, x, y));
      ASSERT_MOE_OK(moe_activation_forward(stream, activation, x1, y1));
      EXPECT_EQ(y.bits(), y1.bits());
      ASSERT_MOE_OK(moe_activation_backward(stream, activation, x, dy, dx));
      ASSERT_MOE_OK(moe_activation_backward(stream, activation, x1, dy1, dx1));
      EXPECT_EQ(dx.bits(), dx1.bits());
    }
  }
}

TEST_F(AlignmentTest, RandomNumbers) {
  for (moe_dtype dtype : kFloatings) {
    for (uint64_t offset : {0, 3}) {
      const Tensor y(dtype, {4096});
      const Shifted y1(y, 3);
      ASSERT_MOE_OK(moe_random_uniform(stream, 5, offset, y));
      ASSERT_MOE_OK(moe_random_uniform(stream, 5, offset, y1));
      EXPECT_EQ(y.bits(), y1.bits());
      ASSERT_MOE_OK(moe_random_normal(stream, 5, offset, 0, 1, y));
      ASSERT_MOE_OK(moe_random_normal(stream, 5, offset, 0, 1, y1));
      EXPECT_EQ(y.bits(), y1.bits());
    }
  }
}

TEST_F(AlignmentTest, Embeddings) {
  for (moe_dtype dtype : kFloatings) {
    const Tensor ids = Tensor::random(MOE_INT32, {70}, 1, 0, 9), table = Tensor::random(dtype, {9, 24}, 2);
    const Tensor y(dtype, {70, 24}), dtable(MOE_FLOAT32, {9, 24});
    const Shifted ids1(ids, 1), table1(table, 1), y1(y, 1), dtable1(dtable, 1);
    ASSERT_MOE_OK(moe_embedding_forward(stream, ids, table, nullptr, nullptr, y));
    ASSERT_MOE_OK(moe_embedding_forward(stream, ids1, table1, nullptr, nullptr, y1));
    EXPECT_EQ(y.bits(), y1.bits());
    ASSERT_MOE_OK(moe_embedding_backward(stream, ids, nullptr, y, dtable, nullptr));
    ASSERT_MOE_OK(moe_embedding_backward(stream, ids1, nullptr, y1, dtable1, nullptr));
    EXPECT_EQ(dtable.bits(), dtable1.bits());
  }
}

TEST_F(AlignmentTest, Norms) {
  for (moe_dtype dtype : kFloatings) {
    const Tensor x = Tensor::random(dtype, {20, 640}, 1), dy = Tensor::random(dtype, {20, 640}, 2);
    const Tensor gamma = Tensor::random(MOE_FLOAT32, {640}, 3), beta = Tensor::random(MOE_FLOAT32, {640}, 4);
    const Tensor y(dtype, {20, 640}), mean(MOE_FLOAT32, {20}), rstd(MOE_FLOAT32, {20}), dx(dtype, {20, 640});
    const Tensor dgamma(MOE_FLOAT32, {640}), dbeta(MOE_FLOAT32, {640});
    const Shifted x1(x, 1), dy1(dy, 1), gamma1(gamma, 1), beta1(beta, 1), y1(y, 1), dx1(dx, 1);
    const Shifted mean1(mean, 1), rstd1(rstd, 1), dgamma1(dgamma, 1), dbeta1(dbeta, 1);
    ASSERT_MOE_OK(moe_layer_norm_forward(stream, x, gamma, beta, 1e-5f, y, mean, rstd));
    ASSERT_MOE_OK(moe_layer_norm_forward(stream, x1, gamma1, beta1, 1e-5f, y1, mean1, rstd1));
    EXPECT_EQ(y.bits(), y1.bits());
    EXPECT_EQ(rstd.bits(), rstd1.bits());
    ASSERT_MOE_OK(moe_layer_norm_backward(stream, dy, x, gamma, mean, rstd, dx, dgamma, dbeta));
    ASSERT_MOE_OK(moe_layer_norm_backward(stream, dy1, x1, gamma1, mean1, rstd1, dx1, dgamma1, dbeta1));
    EXPECT_EQ(dx.bits(), dx1.bits());
    EXPECT_EQ(dgamma.bits(), dgamma1.bits());
    EXPECT_EQ(dbeta.bits(), dbeta1.bits());
  }
}

TEST_F(AlignmentTest, CrossEntropy) {
  for (moe_dtype dtype : kFloatings) {
    const Tensor logits = Tensor::random(dtype, {4, 1000}, 1), targets = Tensor::random(MOE_INT32, {4}, 2, -1, 1000);
    const Tensor losses(MOE_FLOAT32, {4}), dlogits(dtype, {4, 1000});
    const Shifted logits1(logits, 1), targets1(targets, 1), losses1(losses, 1), dlogits1(dlogits, 1);
    ASSERT_MOE_OK(moe_cross_entropy(stream, logits, targets, 0.1f, 1, losses, dlogits));
    ASSERT_MOE_OK(moe_cross_entropy(stream, logits1, targets1, 0.1f, 1, losses1, dlogits1));
    EXPECT_EQ(losses.bits(), losses1.bits());
    EXPECT_EQ(dlogits.bits(), dlogits1.bits());
  }
}

TEST_F(AlignmentTest, OptimizerStepAndSquareSum) {
  const Tensor w = Tensor::random(MOE_FLOAT32, {4000}, 1), g = Tensor::random(MOE_FLOAT32, {4000}, 2);
  const Tensor m = Tensor::random(MOE_FLOAT32, {4000}, 3), v = Tensor::random(MOE_FLOAT32, {4000}, 4, 0, 1);
  const Tensor copy(MOE_BFLOAT16, {4000}), sum(MOE_FLOAT32, {1}), sum1(MOE_FLOAT32, {1});
  const Shifted w1(w, 1), g1(g, 2), m1(m, 3), v1(v, 1), copy1(copy, 1);
  ASSERT_MOE_OK(moe_adamw_step(stream, 0.1f, 0.9f, 0.99f, 1e-8f, 0.1f, 3, 0.5f, w, g, m, v, copy));
  ASSERT_MOE_OK(moe_adamw_step(stream, 0.1f, 0.9f, 0.99f, 1e-8f, 0.1f, 3, 0.5f, w1, g1, m1, v1, copy1));
  EXPECT_EQ(w.bits(), w1.bits());
  EXPECT_EQ(v.bits(), v1.bits());
  EXPECT_EQ(copy.bits(), copy1.bits());
  ASSERT_MOE_OK(moe_square_sum(stream, w, sum));
  ASSERT_MOE_OK(moe_square_sum(stream, w1, sum1));
  expect_same_bits(sum, sum1);
}

}  // namespace
}  // namespace moe::testing
