// Combine against the float64 formula of its header, its gradients against central differences of that formula.
#include "test/routes.h"

namespace moe::testing {
namespace {

struct CombineInput {
  CombineInput(int64_t tokens, int64_t choices, int64_t experts, int64_t width, bool residual, bool skips,
               moe_dtype dtype = MOE_FLOAT32)
      : routes(tokens, choices, experts, 3),
        tokens(tokens),
        width(width),
        residual(residual),
        rows(Tensor::random(dtype, {routes.rows() + 1, width}, 4)),
        mlp(Tensor::random(dtype, {tokens, width}, 5)),
        coefficient(Tensor::random(MOE_FLOAT32, {tokens, 2}, 6, -2, 2)),
        skip(Tensor::random(dtype, {tokens, width}, 7)),
        skips(skips) {}

  RouteTable routes;
  int64_t tokens, width;
  bool residual;
  Tensor rows, mlp, coefficient, skip;
  bool skips;

  const moe_tensor* mlp_view() const { return residual ? static_cast<const moe_tensor*>(mlp) : nullptr; }
  const moe_tensor* coefficient_view() const {
    return residual ? static_cast<const moe_tensor*>(coefficient) : nullptr;
  }

  moe_status run(moe_stream stream, const Tensor& y) const {
    return moe_combine_forward(
        stream,
        combine_inputs(rows, mlp_view(), coefficient_view(), skips ? static_cast<const moe_tensor*>(skip) : nullptr),
        table_of(routes.expert, routes.position, routes.offsets, routes.weight), y);
  }

  std::vector<double> reference() const {
    std::vector<double> y;
    const int64_t choices = routes.choices();
    for (int64_t s = 0; s < tokens; ++s) {
      const double c0 = residual ? 1 / (1 + std::exp(coefficient[2 * s + 1] - coefficient[2 * s])) : 1;
      for (int64_t i = 0; i < width; ++i) {
        double sum = 0;
        for (int64_t route = s * choices; route < (s + 1) * choices; ++route) {
          if (routes.row(route) >= 0) sum += routes.weight[route] * rows[routes.row(route) * width + i];
        }
        y.push_back((skips ? skip[s * width + i] : 0) + c0 * sum + (residual ? (1 - c0) * mlp[s * width + i] : 0));
      }
    }
    return y;
  }
};

struct CombineGradients {
  explicit CombineGradients(const CombineInput& in)
      : drows(static_cast<moe_dtype>(in.rows.view().dtype), {in.rows.view().shape[0], in.width}),
        dweight(MOE_FLOAT32, {in.tokens, in.routes.choices()}),
        dmlp(static_cast<moe_dtype>(in.rows.view().dtype), {in.tokens, in.width}),
        dcoefficient(MOE_FLOAT32, {in.tokens, 2}) {}

  moe_status run(moe_stream stream, const CombineInput& in, const Tensor& dy) {
    return moe_combine_backward(
        stream, dy, combine_inputs(in.rows, in.mlp_view(), in.coefficient_view()),
        table_of(in.routes.expert, in.routes.position, in.routes.offsets, in.routes.weight),
        combine_gradients(drows, dweight, in.residual ? static_cast<const moe_tensor*>(dmlp) : nullptr,
                          in.residual ? static_cast<const moe_tensor*>(dcoefficient) : nullptr));
  }

  Tensor drows, dweight, dmlp, dcoefficient;
};

class CombineTest : public KernelTest {};

TEST_F(CombineTest, MatchesFloat64) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t width : {1, 7, 8, 33, 500}) {
      for (bool residual : {false, true}) {
        for (bool skips : {false, true}) {
          for (int64_t tokens : {0, 1, 90}) {
            const CombineInput in(tokens, 2, 5, width, residual, skips, dtype);
            const Tensor y(dtype, {tokens, width});
            ASSERT_MOE_OK(in.run(stream, y));
            expect_near(y, in.reference(), 2e-6, dtype == MOE_FLOAT32 ? 2e-6 : 1.0 / 256, "y");
          }
        }
      }
    }
  }
}

TEST_F(CombineTest, GradientsMatchCentralDifferences) {
  for (bool residual : {false, true}) {
    for (int64_t width : {1, 8, 11}) {
      CombineInput in(9, 3, 4, width, residual, true);
      const Tensor dy = Tensor::random(MOE_FLOAT32, {9, width}, 1);
      CombineGradients out(in);
      out.drows.fill(-3);
      out.dweight.fill(-3);
      ASSERT_MOE_OK(out.run(stream, in, dy));
      const auto loss = [&] {
        const std::vector<double> y = in.reference();
        double sum = 0;
        for (size_t i = 0; i < y.size(); ++i) sum += y[i] * dy[static_cast<int64_t>(i)];
        return sum;
      };
      std::vector<double> drows = values_of(out.drows);
      for (int64_t i = 0; i < width; ++i) {
        double& past = drows[static_cast<size_t>(in.routes.rows() * width + i)];
        EXPECT_EQ(past, -3) << "a row past the last is left as it is";
        past = 0;
      }
      // Step 1e-3 around values of size 1: truncation 1e-6, the loss itself is float64.
      expect_gradient(in.rows, drows, loss, 1e-3, 2e-6, 1e-5, "rows");
      for (int64_t route = 0; route < out.dweight.count(); ++route) {
        if (in.routes.expert[route] < 0) {
          EXPECT_EQ(out.dweight[route], 0);
        }
      }
      expect_gradient(in.routes.weight, values_of(out.dweight), loss, 1e-3, 2e-6, 1e-5, "weight");
      if (!residual) continue;
      expect_gradient(in.mlp, values_of(out.dmlp), loss, 1e-3, 2e-6, 1e-5, "mlp");
      expect_gradient(in.coefficient, values_of(out.dcoefficient), loss, 1e-3, 2e-6, 1e-5, "coefficient");
    }
  }
}

TEST_F(CombineTest, SixteenChoicesOfMixedTypesWhateverTheAlignment) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (moe_dtype mlp_dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
      CombineInput in(19, 16, 18, 304, true, true, dtype);
      in.mlp = Tensor::random(mlp_dtype, {19, 304}, 8);
      CombineInput aside(19, 16, 18, 304, true, true, dtype);
      aside.mlp = in.mlp.misaligned();
      const Tensor y(MOE_FLOAT32, {19, 304}), other(MOE_FLOAT32, {19, 304});
      ASSERT_MOE_OK(in.run(stream, y));
      expect_near(y, in.reference(), 4e-6, 4e-6, "y");
      ASSERT_MOE_OK(aside.run(stream, other));
      expect_same_bits(y, other, "y");
      const Tensor dy = Tensor::random(dtype, {19, 304}, 1);
      CombineGradients first(in), second(aside);
      ASSERT_MOE_OK(first.run(stream, in, dy));
      ASSERT_MOE_OK(second.run(stream, aside, dy));
      const int64_t written = in.routes.rows() * 304;
      for (int64_t i = 0; i < written; ++i) ASSERT_EQ(first.drows[i], second.drows[i]);
      expect_same_bits(first.dweight, second.dweight, "dweight");
      expect_same_bits(first.dmlp, second.dmlp, "dmlp");
      expect_same_bits(first.dcoefficient, second.dcoefficient, "dcoefficient");
    }
  }
}

TEST_F(CombineTest, GradientsOfNoTokensAndOfNoColumns) {
  CombineInput none(0, 2, 3, 8, true, false), empty(4, 2, 3, 0, true, false);
  CombineGradients of_none(none), of_empty(empty);
  of_empty.dweight.fill(5);
  of_empty.dcoefficient.fill(5);
  EXPECT_MOE_OK(of_none.run(stream, none, none.mlp));
  EXPECT_MOE_OK(of_empty.run(stream, empty, empty.mlp));
  expect_near(of_empty.dweight, std::vector<double>(8, 0), 0, 0, "dweight");
  expect_near(of_empty.dcoefficient, std::vector<double>(8, 0), 0, 0, "dcoefficient");
}

// DeepSpeed's training and inference disagree about which coefficient is whose; here index 0 is the experts'.
TEST_F(CombineTest, ForcedCoefficientsPickOneBranch) {
  CombineInput in(4, 2, 3, 6, true, false);
  const Tensor experts(MOE_FLOAT32, {4, 6}), mixed(MOE_FLOAT32, {4, 6});
  in.residual = false;
  ASSERT_MOE_OK(in.run(stream, experts));
  in.residual = true;
  for (int64_t s = 0; s < 4; ++s) in.coefficient.set(2 * s, 100), in.coefficient.set(2 * s + 1, -100);
  ASSERT_MOE_OK(in.run(stream, mixed));
  expect_near(mixed, values_of(experts), 0, 0, "experts only");
  for (int64_t s = 0; s < 4; ++s) in.coefficient.set(2 * s, -100), in.coefficient.set(2 * s + 1, 100);
  ASSERT_MOE_OK(in.run(stream, mixed));
  expect_near(mixed, values_of(in.mlp), 0, 0, "MLP only");
}

TEST_F(CombineTest, ADroppedTokenKeepsOnlyItsSkip) {
  CombineInput in(3, 1, 2, 5, false, true);
  for (int64_t s = 0; s < 3; ++s) in.routes.expert.set(s, -1);
  const Tensor y(MOE_FLOAT32, {3, 5});
  ASSERT_MOE_OK(in.run(stream, y));
  expect_same_bits(y, in.skip);
}

TEST_F(CombineTest, TheSameBitsOnEveryThreadCount) {
  const CombineInput in(400, 2, 7, 120, true, true, MOE_BFLOAT16);
  const Tensor one(MOE_BFLOAT16, {400, 120}), three(MOE_BFLOAT16, {400, 120});
  const Tensor dy = Tensor::random(MOE_BFLOAT16, {400, 120}, 1);
  ASSERT_MOE_OK(in.run(single, one));
  ASSERT_MOE_OK(in.run(triple, three));
  expect_same_bits(one, three);
  CombineGradients first(in), second(in);
  ASSERT_MOE_OK(first.run(single, in, dy));
  ASSERT_MOE_OK(second.run(triple, in, dy));
  expect_same_bits(first.drows, second.drows, "drows");
  expect_same_bits(first.dweight, second.dweight, "dweight");
  expect_same_bits(first.dmlp, second.dmlp, "dmlp");
  expect_same_bits(first.dcoefficient, second.dcoefficient, "dcoefficient");
}

TEST_F(CombineTest, Refuses) {
  CombineInput in(4, 2, 3, 6, false, false);
  const Tensor y(MOE_FLOAT32, {4, 6}), narrow(MOE_FLOAT32, {4, 5});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "rows has shape", in.run(stream, narrow));
  EXPECT_MOE_REFUSED(
      MOE_INVALID_ARGUMENT, "coefficient is null",
      moe_combine_forward(stream, combine_inputs(in.rows, in.mlp, nullptr),
                          table_of(in.routes.expert, in.routes.position, in.routes.offsets, in.routes.weight), y));
  CombineGradients out(in);
  EXPECT_MOE_REFUSED(
      MOE_INVALID_ARGUMENT, "dmlp is given without mlp",
      moe_combine_backward(stream, y, combine_inputs(in.rows, nullptr, nullptr),
                           table_of(in.routes.expert, in.routes.position, in.routes.offsets, in.routes.weight),
                           combine_gradients(out.drows, out.dweight, out.dmlp, nullptr)));
  in.routes.position.set(2, 99);
  in.routes.expert.set(2, 1);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "position[1, 0] is 99", in.run(stream, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "position[1, 0] is 99", out.run(stream, in, y));
}

// Two threads would write the gradient of a row that two routes share.
TEST_F(CombineTest, TheCpuRefusesARowThatTwoRoutesShare) {
  if (!on_cpu()) GTEST_SKIP() << "a GPU leaves the row undefined";
  CombineInput in(2, 1, 1, 6, false, false);
  in.routes.expert.fill(0);
  in.routes.position.fill(0);
  in.routes.offsets.set(1, 1);
  in.rows = Tensor(MOE_FLOAT32, {1, 6});
  CombineGradients out(in);
  const Tensor y(MOE_FLOAT32, {2, 6});
  const char* text = "position[1, 0] is 0, which another route to expert 0 has";
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, text, in.run(stream, y));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, text, out.run(stream, in, y));
}

}  // namespace
}  // namespace moe::testing
