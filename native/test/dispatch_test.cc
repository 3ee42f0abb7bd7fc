// Dispatch against the dense one-hot product that it replaces.
#include "test/routes.h"

namespace moe::testing {
namespace {

class DispatchTest : public KernelTest {};

TEST_F(DispatchTest, EqualsTheOneHotProduct) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t width : {1, 3, 8, 17, 64, 500}) {
      for (const auto& [tokens, choices, experts] :
           {std::tuple<int64_t, int64_t, int64_t>{0, 2, 3}, {1, 1, 1}, {40, 2, 5}, {300, 3, 9}, {7, 16, 16}}) {
        const RouteTable routes(tokens, choices, experts, 5);
        const Tensor x = Tensor::random(dtype, {tokens, width}, 6);
        Tensor rows(dtype, {routes.rows() + 2, width});
        rows.fill(-8);
        ASSERT_MOE_OK(moe_dispatch_forward(stream, x, table_of(routes.expert, routes.position, routes.offsets), rows));
        std::vector<double> want(static_cast<size_t>(rows.count()), 0);
        for (int64_t route = 0; route < tokens * choices; ++route) {
          if (routes.row(route) < 0) continue;
          for (int64_t i = 0; i < width; ++i) want[routes.row(route) * width + i] += x[route / choices * width + i];
        }
        for (int64_t i = routes.rows() * width; i < rows.count(); ++i)
          want[i] = -8;  // rows past the last keep their values
        expect_near(rows, want, 0, 0, "rows");
      }
    }
  }
}

TEST_F(DispatchTest, BackwardIsTheTranspose) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t width : {1, 9, 64, 300}) {
      const int64_t tokens = 70, choices = 3;
      const RouteTable routes(tokens, choices, 6, 1);
      const Tensor drows = Tensor::random(dtype, {routes.rows(), width}, 2);
      Tensor dx(dtype, {tokens, width}), three(dtype, {tokens, width});
      dx.fill(9);
      ASSERT_MOE_OK(moe_dispatch_backward(stream, drows, table_of(routes.expert, routes.position, routes.offsets), dx));
      std::vector<double> want(static_cast<size_t>(tokens * width), 0);
      for (int64_t route = 0; route < tokens * choices; ++route) {
        if (routes.row(route) < 0) continue;
        for (int64_t i = 0; i < width; ++i) want[route / choices * width + i] += drows[routes.row(route) * width + i];
      }
      expect_near(dx, want, 1e-6, dtype == MOE_FLOAT32 ? 1e-6 : 1.0 / 256, "dx");
      ASSERT_MOE_OK(
          moe_dispatch_backward(triple, drows, table_of(routes.expert, routes.position, routes.offsets), three));
      expect_same_bits(dx, three);
    }
  }
}

TEST_F(DispatchTest, TheSameBitsWhateverTheAlignment) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    const RouteTable routes(37, 16, 20, 3);
    const Tensor x = Tensor::random(dtype, {37, 48}, 1), aside = x.misaligned();
    const Tensor rows(dtype, {routes.rows(), 48}), other = rows.misaligned();
    ASSERT_MOE_OK(moe_dispatch_forward(stream, x, table_of(routes.expert, routes.position, routes.offsets), rows));
    ASSERT_MOE_OK(moe_dispatch_forward(stream, aside, table_of(routes.expert, routes.position, routes.offsets), other));
    expect_near(other, values_of(rows), 0, 0, "rows");
    const Tensor dx(dtype, {37, 48}), dx_aside = dx.misaligned(), wide(MOE_FLOAT32, {37, 48});
    ASSERT_MOE_OK(moe_dispatch_backward(stream, rows, table_of(routes.expert, routes.position, routes.offsets), dx));
    ASSERT_MOE_OK(
        moe_dispatch_backward(stream, other, table_of(routes.expert, routes.position, routes.offsets), dx_aside));
    expect_near(dx_aside, values_of(dx), 0, 0, "dx");
    ASSERT_MOE_OK(moe_dispatch_backward(stream, rows, table_of(routes.expert, routes.position, routes.offsets), wide));
    expect_near(dx, values_of(wide), 0, dtype == MOE_FLOAT32 ? 0 : 1.0 / 256, "dx in float32");
  }
}

TEST_F(DispatchTest, BackwardOfNoTokensAndNoColumns) {
  const RouteTable none(0, 2, 3, 5), some(4, 2, 3, 5);
  const Tensor dx(MOE_FLOAT32, {0, 8}), drows(MOE_FLOAT32, {0, 8});
  EXPECT_MOE_OK(moe_dispatch_backward(stream, drows, table_of(none.expert, none.position, none.offsets), dx));
  const Tensor x(MOE_FLOAT32, {4, 0}), rows(MOE_FLOAT32, {some.rows(), 0});
  EXPECT_MOE_OK(moe_dispatch_forward(stream, x, table_of(some.expert, some.position, some.offsets), rows));
  EXPECT_MOE_OK(moe_dispatch_backward(stream, rows, table_of(some.expert, some.position, some.offsets), x));
}

TEST_F(DispatchTest, GradientMatchesCentralDifferences) {
  const RouteTable routes(6, 2, 3, 4);
  Tensor x = Tensor::random(MOE_FLOAT32, {6, 5}, 1), rows(MOE_FLOAT32, {routes.rows(), 5}), dx(MOE_FLOAT32, {6, 5});
  const Tensor drows = Tensor::random(MOE_FLOAT32, {routes.rows(), 5}, 2);
  ASSERT_MOE_OK(moe_dispatch_backward(stream, drows, table_of(routes.expert, routes.position, routes.offsets), dx));
  const auto loss = [&] {
    EXPECT_MOE_OK(moe_dispatch_forward(stream, x, table_of(routes.expert, routes.position, routes.offsets), rows));
    return dot(rows, drows);
  };
  expect_gradient(x, values_of(dx), loss, 0.1, 1e-5, 1e-5, "x");
}

TEST_F(DispatchTest, RefusesTablesThatLeaveTheRows) {
  RouteTable routes(5, 2, 3, 4);
  const Tensor x(MOE_FLOAT32, {5, 4}), rows(MOE_FLOAT32, {routes.rows(), 4}), few(MOE_FLOAT32, {routes.rows() - 1, 4});
  const auto run = [&](const Tensor& target) {
    return moe_dispatch_forward(stream, x, table_of(routes.expert, routes.position, routes.offsets), target);
  };
  ASSERT_MOE_OK(run(rows));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "offsets[3] is", run(few));
  const Tensor half(MOE_BFLOAT16, {routes.rows(), 4}), wide(MOE_FLOAT32, {routes.rows(), 5}), dx(MOE_FLOAT32, {5, 4});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "x is float32 but rows is bfloat16", run(half));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "rows has shape", run(wide));
  const Tensor many(MOE_INT32, {5, 17});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "17 choices",
                     moe_dispatch_forward(stream, x, table_of(many, many, routes.offsets), rows));
  const double saved = routes.expert[3];
  routes.expert.set(3, 3);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "expert[1, 1] is 3, expected -1 or 0 to 2", run(rows));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "expert[1, 1] is 3",
                     moe_dispatch_backward(stream, rows, table_of(routes.expert, routes.position, routes.offsets), dx));
  routes.expert.set(3, saved < 0 ? 0 : saved);
  routes.position.set(3, 1000);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "position[1, 1] is 1000", run(rows));
  routes.offsets.set(1, -4);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "offsets[1] is -4", run(rows));
}

// Two threads would write a row that two routes share.
TEST_F(DispatchTest, TheCpuRefusesARowThatTwoRoutesShare) {
  if (!on_cpu()) GTEST_SKIP() << "a GPU leaves the row undefined";
  const Tensor expert(MOE_INT32, {2, 1}), position(MOE_INT32, {2, 1}), offsets = Tensor::of(MOE_INT32, {2}, {0, 2});
  const Tensor x(MOE_FLOAT32, {2, 4}), rows(MOE_FLOAT32, {2, 4});
  const char* text = "position[1, 0] is 0, which another route to expert 0 has";
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, text,
                     moe_dispatch_forward(stream, x, table_of(expert, position, offsets), rows));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, text,
                     moe_dispatch_backward(stream, rows, table_of(expert, position, offsets), x));
}

}  // namespace
}  // namespace moe::testing
