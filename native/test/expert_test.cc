// The experts' grouped GEMM: against dense products of each group, float64 and finite differences.
#include "test/gemm_reference.h"
#include "test/testing.h"

namespace moe::testing {
namespace {

Tensor offsets_of(const std::vector<double>& values) {
  Tensor offsets(MOE_INT32, {static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i) offsets.set(static_cast<int64_t>(i), values[i]);
  return offsets;
}

struct Routing {
  const char* name;
  int64_t rows;
  std::vector<double> offsets;
};

const std::vector<Routing> kRoutings = {
    {"uneven", 40, {0, 1, 3, 10, 40}},
    {"empty groups", 9, {0, 0, 9, 9, 9}},
    {"all in one group", 150, {0, 150, 150, 150, 150}},
    {"rows past the end", 20, {0, 2, 2, 7, 11}},
    {"no rows", 0, {0, 0, 0, 0, 0}},
    {"only rows past the end", 5, {0, 0, 0, 0, 0}},
};

class ExpertTest : public KernelTest {};

// A group's rows equal those of a dense product, bit by bit on the CPU. On CUDA a dense skinny product with a float32
// operand has another order of sums.
void expect_dense(const Tensor& group, const Tensor& dense, bool floats, const char* what) {
  if (floats && backend_under_test() != std::string("cpu")) {
    expect_near(group, values_of(dense), 1e-4, dense.view().dtype == MOE_BFLOAT16 ? 0x1p-7 : 1e-5, what);
  } else {
    expect_same_bits(group, dense, what);
  }
}

TEST_F(ExpertTest, WithoutExpertsLeavesRowsAsTheyAre) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    const Tensor x = Tensor::random(dtype, {9, 64}, 1), weights(dtype, {0, 32, 64}), offsets = offsets_of({0});
    Tensor y(dtype, {9, 32}), dx(dtype, {9, 64});
    y.fill(7);
    dx.fill(7);
    ASSERT_MOE_OK(moe_expert_forward(stream, x, offsets, weights, y, nullptr));
    ASSERT_MOE_OK(moe_expert_backward_input(stream, y, offsets, weights, dx));
    for (const Tensor* rows : {&y, &dx})
      expect_near(*rows, std::vector<double>(values_of(*rows).size(), 7), 0, 0, "row");
  }
}

TEST_F(ExpertTest, ForwardIsADenseGemmOfEachGroup) {
  const int64_t experts = 4, n = 70, k = 131;
  for (const Routing& routing : kRoutings) {
    for (int bits = 0; bits < 8; ++bits) {
      const moe_dtype x_type = bits & 1 ? MOE_BFLOAT16 : MOE_FLOAT32, w_type = bits & 2 ? MOE_BFLOAT16 : MOE_FLOAT32;
      const moe_dtype y_type = bits & 4 ? MOE_BFLOAT16 : MOE_FLOAT32;
      for (int activation : {MOE_IDENTITY, MOE_GELU, MOE_SWIGLU}) {
        const int64_t width = is_gated(activation) ? n / 2 : n;
        const Tensor x = Tensor::random(x_type, {routing.rows, k}, 1), offsets = offsets_of(routing.offsets);
        const Tensor weights = Tensor::random(w_type, {experts, n, k}, 2);
        const Tensor bias = Tensor::random(MOE_FLOAT32, {experts, n}, 3);
        const Tensor operand = packed(device, stream, weights, w_type);
        Tensor y(y_type, {routing.rows, width}), pre(MOE_FLOAT32, {routing.rows, n});
        Tensor y_packed(y_type, {routing.rows, width});
        for (Tensor* out : {&y, &pre, &y_packed}) out->fill(7);
        ASSERT_MOE_OK(moe_expert_forward(triple, x, offsets, weights, y, Epilogue(activation, bias, pre)));
        ASSERT_MOE_OK(moe_expert_forward(single, x, offsets, operand, y_packed, Epilogue(activation, bias)));
        expect_same_bits(y, y_packed, "row-major and packed weights");
        for (int64_t e = 0; e < experts; ++e) {
          const auto first = static_cast<int64_t>(routing.offsets[e]);
          const int64_t rows = static_cast<int64_t>(routing.offsets[e + 1]) - first;
          const Tensor c(y_type, {rows, width}), c_pre(MOE_FLOAT32, {rows, n});
          const Tensor bias_e = Tensor::of(
              MOE_FLOAT32, {n}, std::vector<double>(bias.data<float>() + e * n, bias.data<float>() + (e + 1) * n));
          ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), slice(x, first, rows), matrix(weights, e), c,
                                 Epilogue(activation, bias_e, c_pre)));
          const bool floats = x_type == MOE_FLOAT32 || w_type == MOE_FLOAT32;
          expect_dense(slice(y, first, rows), c, floats, "y");
          expect_dense(slice(pre, first, rows), c_pre, floats, "preactivation");
        }
        for (auto i = static_cast<int64_t>(routing.offsets[experts]) * width; i < y.count(); ++i) {
          ASSERT_EQ(y[i], 7) << "a row past the last group was written";
        }
        if (HasFailure()) FAIL() << "with " << routing.name << ", activation " << activation << ", case " << bits;
      }
    }
  }
}

// Groups at the sizes where kernels change, in one call: each row has the bits that it has alone.
TEST_F(ExpertTest, GroupsOfEverySizeGiveARowTheBitsItHasAlone) {
  const std::vector<double> starts = {0, 0, 1, 17, 34, 163, 163};  // 0, 1, 16, 17, 129 and 0 rows
  const int64_t experts = 6, rows = 163;
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int activation : {MOE_SILU, MOE_SWIGLU, MOE_GEGLU_TANH}) {
      for (const auto& [n, k] : {std::pair<int64_t, int64_t>{144, 136}, {42, 51}}) {
        const int64_t width = is_gated(activation) ? n / 2 : n;
        const Tensor x = Tensor::random(dtype, {rows, k}, 1), weights = Tensor::random(dtype, {experts, n, k}, 2);
        const Tensor bias = Tensor::random(MOE_FLOAT32, {experts, n}, 3), offsets = offsets_of(starts);
        const Tensor y(dtype, {rows, width}), pre(dtype, {rows, n});
        ASSERT_MOE_OK(moe_expert_forward(stream, x, offsets, weights, y, Epilogue(activation, bias, pre)));
        for (int64_t e = 0; e < experts; ++e) {
          const auto first = static_cast<int64_t>(starts[e]), last = static_cast<int64_t>(starts[e + 1]) - 1;
          for (int64_t row : {first, (first + last) / 2, last}) {
            if (first > last) continue;
            std::vector<double> alone(experts + 1, 0);
            for (int64_t i = e + 1; i <= experts; ++i) alone[i] = 1;
            const Tensor y_alone(dtype, {1, width}), pre_alone(dtype, {1, n});
            ASSERT_MOE_OK(moe_expert_forward(stream, slice(x, row, 1), offsets_of(alone), weights, y_alone,
                                             Epilogue(activation, bias, pre_alone)));
            expect_same_bits(slice(y, row, 1), y_alone, "y");
            expect_same_bits(slice(pre, row, 1), pre_alone, "preactivation");
          }
        }
        const Tensor dx(dtype, {rows, k});
        ASSERT_MOE_OK(moe_expert_backward_input(stream, pre, offsets, weights, dx));
        for (int64_t e = 0; e < experts; ++e) {
          const auto first = static_cast<int64_t>(starts[e]);
          const int64_t count = static_cast<int64_t>(starts[e + 1]) - first;
          const Tensor part = slice(pre, first, count);
          expect_near(slice(dx, first, count), product(part, false, matrix(weights, e), false), 1e-4,
                      dtype == MOE_BFLOAT16 ? 0x1p-8 : 1e-5, "dx");
        }
        if (HasFailure()) FAIL() << "with dtype " << dtype << ", activation " << activation << ", n " << n;
      }
    }
  }
}

// Around the rows of each tile and instruction: every row alone, in a dense product and in a group.
TEST_F(ExpertTest, ARowHasItsBitsInGroupsOf1To257Rows) {
  const std::vector<int64_t> sizes = {1, 7, 8, 9, 16, 17, 32, 33, 64, 65, 128, 129, 256, 257};
  const auto experts = static_cast<int64_t>(sizes.size());
  const int64_t n = 72, k = 136;
  std::vector<double> starts = {0};
  for (const int64_t size : sizes) starts.push_back(starts.back() + static_cast<double>(size));
  const auto rows = static_cast<int64_t>(starts.back());
  const Tensor x = Tensor::random(MOE_BFLOAT16, {rows, k}, 1), dy = Tensor::random(MOE_BFLOAT16, {rows, n}, 2);
  const Tensor weights = Tensor::random(MOE_BFLOAT16, {experts, n, k}, 3), offsets = offsets_of(starts);
  const Tensor y(MOE_FLOAT32, {rows, n}), dx(MOE_FLOAT32, {rows, k});
  ASSERT_MOE_OK(moe_expert_forward(stream, x, offsets, weights, y, Epilogue(MOE_IDENTITY)));
  ASSERT_MOE_OK(moe_expert_backward_input(stream, dy, offsets, weights, dx));
  for (int64_t e = 0; e < experts; ++e) {
    const auto first = static_cast<int64_t>(starts[e]), count = sizes[e];
    for (const auto& [row, dense] : {std::pair<int64_t, int64_t>{first, count}, {first + count - 1, 1}}) {
      const Tensor c(MOE_FLOAT32, {dense, n}), da(MOE_FLOAT32, {dense, k});
      ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), slice(x, row, dense), matrix(weights, e), c, nullptr));
      expect_same_bits(slice(y, row, dense), c, "y");
      ASSERT_MOE_OK(moe_gemm(stream, form(0, 0), slice(dy, row, dense), matrix(weights, e), da, nullptr));
      expect_same_bits(slice(dx, row, dense), da, "dx");
      if (HasFailure()) FAIL() << "with " << dense << " rows of a group of " << count;
    }
  }
}

// Few rows and many differ in kc and nc: several kc blocks and a remainder, even or odd.
TEST_F(ExpertTest, ARowOfBackwardInputHasTheBitsItHasAlone) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (const int64_t n : {680, 521}) {
      const int64_t rows = 70, k = 136;
      const Tensor dy = Tensor::random(dtype, {rows, n}, 1), weights = Tensor::random(dtype, {1, n, k}, 2);
      const auto dx = [&](int64_t first, int64_t count) {
        Tensor result(dtype, {count, k});
        EXPECT_MOE_OK(moe_expert_backward_input(stream, slice(dy, first, count),
                                                offsets_of({0, static_cast<double>(count)}), weights, result));
        return result;
      };
      const Tensor all = dx(0, rows);
      for (const int64_t count : {1, 5, 16, 40}) {
        expect_same_bits(slice(all, 3, count), dx(3, count), "dx");
        if (HasFailure()) FAIL() << "with dtype " << dtype << ", n " << n << ", " << count << " rows";
      }
      // Experts enough that each task has all columns.
      const Tensor several = Tensor::random(dtype, {6, n, k}, 3), result(dtype, {rows, k});
      const std::vector<double> starts = {0, 1, 6, 22, 22, 39, 70};
      ASSERT_MOE_OK(moe_expert_backward_input(stream, dy, offsets_of(starts), several, result));
      for (int64_t e = 0; e < 6; ++e) {
        const auto first = static_cast<int64_t>(starts[e]), count = static_cast<int64_t>(starts[e + 1]) - first;
        const Tensor alone(dtype, {count, k});
        ASSERT_MOE_OK(moe_expert_backward_input(
            stream, slice(dy, first, count), offsets_of({0, static_cast<double>(count)}), slice(several, e, 1), alone));
        expect_same_bits(slice(result, first, count), alone, "dx of an expert");
        if (HasFailure()) FAIL() << "with dtype " << dtype << ", n " << n << ", expert " << e;
      }
    }
  }
}

// Experts with many rows and with few, whose tilings differ.
TEST_F(ExpertTest, BackwardInputOfManyRowsHasTheBitsOfFew) {
  const int64_t n = 300, k = 160, few = 5;
  const std::vector<double> starts = {0, 100, 100, 103, 303, 303, 303, 303, 303, 303, 303, 303, 310};
  const Tensor dy = Tensor::random(MOE_FLOAT32, {310, n}, 1), weights = Tensor::random(MOE_FLOAT32, {12, n, k}, 2);
  for (moe_stream any : streams()) {
    const Tensor dx(MOE_FLOAT32, {310, k});
    ASSERT_MOE_OK(moe_expert_backward_input(any, dy, offsets_of(starts), weights, dx));
    for (int64_t e = 0; e < 12; ++e) {
      for (auto row = static_cast<int64_t>(starts[e]); row + few <= static_cast<int64_t>(starts[e + 1]); row += few) {
        const Tensor alone(MOE_FLOAT32, {few, k});
        ASSERT_MOE_OK(
            moe_expert_backward_input(any, slice(dy, row, few), offsets_of({0, few}), slice(weights, e, 1), alone));
        expect_same_bits(slice(dx, row, few), alone, "dx");
        if (HasFailure()) FAIL() << "at row " << row;
      }
    }
  }
}

// Groups of 0, 1, 16, 17, 129 and 300 rows, each summed into its own gradient; whole tiles and partial ones.
TEST_F(ExpertTest, BackwardWeightsSumsGroupsOfEverySize) {
  const std::vector<double> starts = {0, 0, 1, 17, 34, 163, 463};
  const int64_t experts = 6, rows = 463;
  for (const moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (const auto& [n, k] : {std::pair<int64_t, int64_t>{136, 160}, {136, 144}, {33, 50}}) {
      const Tensor dy = Tensor::random(dtype, {rows, n}, 1), x = Tensor::random(dtype, {rows, k}, 2);
      const Tensor dweights = Tensor::random(MOE_FLOAT32, {experts, n, k}, 3), before = slice(dweights, 0, experts);
      ASSERT_MOE_OK(moe_expert_backward_weights(stream, 1, dy, x, offsets_of(starts), dweights, nullptr));
      for (int64_t e = 0; e < experts; ++e) {
        const auto first = static_cast<int64_t>(starts[e]);
        const int64_t count = static_cast<int64_t>(starts[e + 1]) - first;
        std::vector<double> expected = product(slice(dy, first, count), true, slice(x, first, count), false);
        for (int64_t i = 0; i < n * k; ++i) expected[static_cast<size_t>(i)] += before[e * n * k + i];
        expect_near(slice(dweights, e, 1), expected, 1e-5, 1e-6, "dweights");
      }
      expect_same_bits(slice(dweights, 0, 1), slice(before, 0, 1), "the gradient of a group without rows");
      Tensor cleared(MOE_FLOAT32, {experts, n, k});
      const Tensor written = slice(before, 0, experts);
      cleared.fill(0);
      ASSERT_MOE_OK(moe_expert_backward_weights(stream, 1, dy, x, offsets_of(starts), cleared, nullptr));
      ASSERT_MOE_OK(moe_expert_backward_weights(stream, 0, dy, x, offsets_of(starts), written, nullptr));
      expect_same_bits(written, cleared, "written, and added to zeros");
    }
  }
}

// y = w x^T per group, summed in float64.
TEST_F(ExpertTest, ForwardMatchesFloat64) {
  const int64_t experts = 3, n = 24, k = 50;
  const Tensor x = Tensor::random(MOE_BFLOAT16, {15, k}, 1), offsets = offsets_of({0, 4, 5, 15});
  const Tensor weights = Tensor::random(MOE_BFLOAT16, {experts, n, k}, 2);
  const Tensor bias = Tensor::random(MOE_FLOAT32, {experts, n}, 3);
  const Tensor y(MOE_FLOAT32, {15, n});
  ASSERT_MOE_OK(moe_expert_forward(stream, x, offsets, weights, y, Epilogue(MOE_GELU_TANH, bias)));
  std::vector<double> expected;
  for (int64_t row = 0; row < 15; ++row) {
    const int64_t e = row < 4 ? 0 : row < 5 ? 1 : 2;
    for (int64_t j = 0; j < n; ++j) {
      double sum = bias[e * n + j];
      for (int64_t i = 0; i < k; ++i) sum += x[row * k + i] * weights[(e * n + j) * k + i];
      expected.push_back(activated(MOE_GELU_TANH, sum));
    }
  }
  expect_near(y, expected, 1e-5, 1e-6, "y");
}

TEST_F(ExpertTest, BackwardInputMatchesFloat64) {
  const int64_t experts = 4, n = 67, k = 130;
  for (const Routing& routing : kRoutings) {
    for (int bits = 0; bits < 8; ++bits) {
      const moe_dtype dy_type = bits & 1 ? MOE_BFLOAT16 : MOE_FLOAT32, w_type = bits & 2 ? MOE_BFLOAT16 : MOE_FLOAT32;
      const moe_dtype dx_type = bits & 4 ? MOE_BFLOAT16 : MOE_FLOAT32;
      const Tensor dy = Tensor::random(dy_type, {routing.rows, n}, 1), offsets = offsets_of(routing.offsets);
      const Tensor weights = Tensor::random(w_type, {experts, n, k}, 2);
      Tensor dx(dx_type, {routing.rows, k}), other(dx_type, {routing.rows, k});
      for (Tensor* out : {&dx, &other}) out->fill(7);
      ASSERT_MOE_OK(moe_expert_backward_input(stream, dy, offsets, weights, dx));
      ASSERT_MOE_OK(moe_expert_backward_input(triple, dy, offsets, weights, other));
      expect_same_bits(dx, other, "threads");
      std::vector<double> expected(static_cast<size_t>(routing.rows * k), 7);
      for (int64_t e = 0; e < experts; ++e) {
        const auto first = static_cast<int64_t>(routing.offsets[e]);
        const int64_t rows = static_cast<int64_t>(routing.offsets[e + 1]) - first;
        const std::vector<double> part = product(slice(dy, first, rows), false, matrix(weights, e), false);
        std::copy(part.begin(), part.end(), expected.begin() + first * k);
      }
      expect_near(dx, expected, 1e-5, dx_type == MOE_BFLOAT16 ? 0x1p-8 : 1e-6, "dx");
      if (HasFailure()) FAIL() << "with " << routing.name << ", case " << bits;
    }
  }
}

TEST_F(ExpertTest, BackwardWeightsAddsToWhatIsThere) {
  const int64_t experts = 4, n = 67, k = 130;
  for (const Routing& routing : kRoutings) {
    for (int bits = 0; bits < 8; ++bits) {
      const moe_dtype dy_type = bits & 1 ? MOE_BFLOAT16 : MOE_FLOAT32, x_type = bits & 2 ? MOE_BFLOAT16 : MOE_FLOAT32;
      const moe_dtype dw_type = bits & 4 ? MOE_BFLOAT16 : MOE_FLOAT32;
      const Tensor dy = Tensor::random(dy_type, {routing.rows, n}, 1), x = Tensor::random(x_type, {routing.rows, k}, 2);
      const Tensor offsets = offsets_of(routing.offsets);
      const Tensor dweights = Tensor::random(dw_type, {experts, n, k}, 3);
      const Tensor dbias = Tensor::random(MOE_FLOAT32, {experts, n}, 4);
      const Tensor other = slice(dweights, 0, experts), other_bias = slice(dbias, 0, experts);
      std::vector<double> expected, expected_bias;
      for (int64_t e = 0; e < experts; ++e) {
        const auto first = static_cast<int64_t>(routing.offsets[e]);
        const int64_t rows = static_cast<int64_t>(routing.offsets[e + 1]) - first;
        const Tensor dy_e = slice(dy, first, rows);
        const std::vector<double> part = product(dy_e, true, slice(x, first, rows), false);
        for (int64_t i = 0; i < n * k; ++i) expected.push_back(dweights[e * n * k + i] + part[static_cast<size_t>(i)]);
        for (int64_t j = 0; j < n; ++j) {
          double sum = dbias[e * n + j];
          for (int64_t row = 0; row < rows; ++row) sum += dy_e[row * n + j];
          expected_bias.push_back(sum);
        }
      }
      ASSERT_MOE_OK(moe_expert_backward_weights(stream, 1, dy, x, offsets, dweights, dbias));
      ASSERT_MOE_OK(moe_expert_backward_weights(triple, 1, dy, x, offsets, other, other_bias));
      expect_same_bits(dweights, other, "threads");
      expect_same_bits(dbias, other_bias, "threads");
      expect_near(dweights, expected, 1e-5, dw_type == MOE_BFLOAT16 ? 0x1p-8 : 1e-6, "dweights");
      expect_near(dbias, expected_bias, 1e-5, 1e-6, "dbias");
      if (HasFailure()) FAIL() << "with " << routing.name << ", case " << bits;
    }
  }
}

// Loss = sum of y * direction, y = x weights^T + bias: linear, so that central differences have only rounding errors.
TEST_F(ExpertTest, BackwardMatchesFiniteDifferencesOfForward) {
  const int64_t experts = 3, n = 5, k = 4, rows = 8;
  Tensor x = Tensor::random(MOE_FLOAT32, {rows, k}, 1), weights = Tensor::random(MOE_FLOAT32, {experts, n, k}, 2);
  Tensor bias = Tensor::random(MOE_FLOAT32, {experts, n}, 3);
  const Tensor offsets = offsets_of({0, 3, 3, 7}), direction = Tensor::random(MOE_FLOAT32, {rows, n}, 4);
  Tensor y(MOE_FLOAT32, {rows, n});
  const auto loss = [&] {
    y.fill(0);
    EXPECT_MOE_OK(moe_expert_forward(stream, x, offsets, weights, y, Epilogue(MOE_IDENTITY, bias)));
    return dot(y, direction);
  };
  Tensor dx(MOE_FLOAT32, {rows, k}), dweights(MOE_FLOAT32, {experts, n, k}), dbias(MOE_FLOAT32, {experts, n});
  for (Tensor* gradient : {&dx, &dweights, &dbias}) gradient->fill(0);
  ASSERT_MOE_OK(moe_expert_backward_input(stream, direction, offsets, weights, dx));
  ASSERT_MOE_OK(moe_expert_backward_weights(stream, 1, direction, x, offsets, dweights, dbias));
  expect_gradient(x, values_of(dx), loss, 0.5, 1e-5, 1e-5, "x");
  expect_gradient(weights, values_of(dweights), loss, 0.5, 1e-5, 1e-5, "weights");
  expect_gradient(bias, values_of(dbias), loss, 0.5, 1e-5, 1e-5, "bias");
}

TEST_F(ExpertTest, RefusesOffsetsThatAreNoGroups) {
  const Tensor x(MOE_FLOAT32, {6, 4}), weights(MOE_FLOAT32, {2, 3, 4}), y(MOE_FLOAT32, {6, 3});
  const std::pair<std::vector<double>, const char*> bad[] = {{{0, 4, 3}, "less than"},
                                                             {{1, 2, 3}, "offsets[0] is 1"},
                                                             {{0, 2, 7}, "past the 6 rows"},
                                                             {{0, -1, 3}, "less than"}};
  for (const auto& [values, message] : bad) {
    const Tensor offsets = offsets_of(values);
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, message, moe_expert_forward(stream, x, offsets, weights, y, Epilogue(0)));
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, message, moe_expert_backward_input(stream, y, offsets, weights, x));
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, message,
                       moe_expert_backward_weights(stream, 1, y, x, offsets, weights, nullptr));
  }
}

TEST_F(ExpertTest, RefusesArgumentsThatDoNotFit) {
  const Tensor x(MOE_FLOAT32, {6, 4}), offsets = offsets_of({0, 2, 6}), weights(MOE_FLOAT32, {2, 3, 4});
  const Tensor y(MOE_FLOAT32, {6, 3}), flat(MOE_FLOAT32, {3, 4}), bias(MOE_FLOAT32, {3}), integers(MOE_INT32, {6, 4});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "weights has shape [3, 4], expected rank 3",
                     moe_expert_forward(stream, x, offsets, flat, y, Epilogue(0)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "offsets has shape [2], expected [3]",
                     moe_expert_forward(stream, x, offsets_of({0, 6}), weights, y, Epilogue(0)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bias has shape [3], expected [2, 3]",
                     moe_expert_forward(stream, x, offsets, weights, y, Epilogue(0, bias)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "x is int32",
                     moe_expert_forward(stream, integers, offsets, weights, y, Epilogue(0)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "even number",
                     moe_expert_forward(stream, x, offsets, weights, y, Epilogue(MOE_SWIGLU)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "dy has shape [6, 4], expected [any, 3]",
                     moe_expert_backward_input(stream, x, offsets, weights, x));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "accumulate",
                     moe_expert_backward_weights(stream, 2, y, x, offsets, weights, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "dweights is uint8",
                     moe_expert_backward_weights(stream, 1, y, x, offsets, Tensor(MOE_UINT8, {2, 3, 4}), nullptr));
}

}  // namespace
}  // namespace moe::testing
