// The epilogue's addend: every kernel adds it to the sums and the bias before the preactivation is saved.
#include <limits>

#include "test/blocks.h"

namespace moe::testing {
namespace {

class AddendTest : public KernelTest {
 protected:
  static std::vector<moe_activation_config> activations() {
    std::vector<moe_activation_config> all;
    for (int32_t kind = MOE_IDENTITY; kind <= MOE_GEGLU_TANH; ++kind) all.push_back(activation_of(kind));
    all.push_back(activation_of(MOE_SWIGLU, 0.8f, 1.702f, 1));
    return all;
  }
  static int64_t width(const moe_activation_config& activation, int64_t n) {
    return is_gated(activation.kind) ? n / 2 : n;
  }
  // x + y rounded once to float32, as the epilogue adds.
  static Tensor sum(const Tensor& x, const Tensor& y) {
    Tensor z = converted(x, MOE_FLOAT32);
    for (int64_t i = 0; i < z.count(); ++i) z.set(i, z[i] + y[i]);
    return z;
  }
};

TEST_F(AddendTest, EveryActivationMatchesFloat64) {
  const int64_t n = 70, k = 33;
  for (const int64_t m : {1, 9, 40}) {
    for (const moe_activation_config& activation : activations()) {
      for (int bits = 0; bits < 8; ++bits) {
        const auto dtype = [&](int bit) { return bits & bit ? MOE_BFLOAT16 : MOE_FLOAT32; };
        const Tensor a = Tensor::random(dtype(1), {m, k}, 1), b = Tensor::random(dtype(1), {n, k}, 2);
        const Tensor bias = Tensor::random(MOE_FLOAT32, {n}, 3), addend = Tensor::random(dtype(2), {m, n}, 4, -3, 3);
        const Tensor c(dtype(4), {m, width(activation, n)}), pre(MOE_FLOAT32, {m, n});
        ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, b, c, Epilogue(activation, bias, pre, addend)));
        std::vector<double> expected = product(a, false, b, true);
        add_bias(expected, bias);
        add_bias(expected, addend);
        expect_near(pre, expected, 1e-5, 1e-6, "preactivation");
        expect_near(c, activated(activation, expected, n), 2e-5, bits & 4 ? 0x1p-8 : 2e-6, "c");
        if (HasFailure()) FAIL() << "at m " << m << ", activation " << activation.kind << ", case " << bits;
      }
    }
  }
}

// With the sums' own bits, whatever the layout and dtype of the weights: the addend is added to them, and no more.
TEST_F(AddendTest, IsAddedToTheSumsOfEveryKernel) {
  const int64_t n = 68, k = 256;
  std::vector<Tensor> weights;
  const Tensor numbers = Tensor::random(MOE_FLOAT32, {n, k}, 1);
  for (const moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    weights.push_back(converted(numbers, dtype));
    weights.push_back(packed(device, stream, numbers, dtype));
  }
  for (const Format& format : kFormats) {
    const Tensor blocks = random_blocks(format, {n, k}, 2);
    for (const moe_layout layout : {MOE_PACKED, MOE_PACKED_EXACT}) {
      weights.push_back(packed(device, stream, blocks, format.dtype, layout));
    }
  }
  for (const Tensor& b : weights) {
    for (const moe_dtype a_type : {MOE_FLOAT32, MOE_BFLOAT16}) {
      for (const int64_t m : {1, 3, 37}) {
        const Tensor a = Tensor::random(a_type, {m, k}, 3), bias = Tensor::random(MOE_FLOAT32, {n}, 4);
        const Tensor addend = Tensor::random(a_type, {m, n}, 5, -3, 3), c(MOE_FLOAT32, {m, n});
        const Tensor without(MOE_FLOAT32, {m, n}), pre(MOE_FLOAT32, {m, n}), half(MOE_FLOAT32, {m, n / 2});
        ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, b, without, Epilogue(MOE_IDENTITY, bias)));
        ASSERT_MOE_OK(moe_gemm(triple, form(0, 1), a, b, c, Epilogue(MOE_IDENTITY, bias, nullptr, addend)));
        const Tensor expected = sum(without, addend);
        expect_same_bits(c, expected, "c");
        ASSERT_MOE_OK(moe_gemm(single, form(0, 1), a, b, half, Epilogue(MOE_SWIGLU, bias, pre, addend)));
        expect_same_bits(pre, expected, "preactivation of a gated activation");
        if (HasFailure()) FAIL() << "dtype " << b.view().dtype << ", layout " << b.view().layout << ", m " << m;
      }
    }
  }
}

TEST_F(AddendTest, ExpertsAddTheirRowsAndReadNoOthers) {
  const int64_t experts = 4, rows = 60, routed = 50, n = 70, k = 128;
  const Tensor offsets = Tensor::of(MOE_INT32, {experts + 1}, {0, 1, 1, 18, routed});
  const Format& q4 = kFormats[1];
  for (const moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    const Tensor x = Tensor::random(dtype, {rows, k}, 1), bias = Tensor::random(MOE_FLOAT32, {experts, n}, 2);
    const Tensor numbers = Tensor::random(dtype, {experts, n, k}, 3);
    const Tensor blocks = random_blocks(q4, {experts, n, k}, 4);
    Tensor addend = Tensor::random(dtype, {rows, n}, 5, -3, 3);
    for (int64_t i = routed * n; i < rows * n; ++i) addend.set(i, std::numeric_limits<double>::quiet_NaN());
    const Tensor rounding = packed(device, stream, blocks, q4.dtype);
    const Tensor exact = packed(device, stream, blocks, q4.dtype, MOE_PACKED_EXACT);
    for (const Tensor* weights : {&numbers, &rounding, &exact}) {
      Tensor without(MOE_FLOAT32, {rows, n}), pre(MOE_FLOAT32, {rows, n}), y(dtype, {rows, n / 2}),
          other(dtype, {rows, n / 2});
      for (Tensor* out : {&without, &pre, &y, &other}) out->fill(7);
      ASSERT_MOE_OK(moe_expert_forward(stream, x, offsets, *weights, without, Epilogue(MOE_IDENTITY, bias)));
      ASSERT_MOE_OK(moe_expert_forward(stream, x, offsets, *weights, y, Epilogue(MOE_SWIGLU, bias, pre, addend)));
      ASSERT_MOE_OK(
          moe_expert_forward(triple, x, offsets, *weights, other, Epilogue(MOE_SWIGLU, bias, nullptr, addend)));
      const Tensor expected = sum(slice(without, 0, routed), slice(addend, 0, routed));
      expect_same_bits(slice(pre, 0, routed), expected, "preactivation");
      expect_near(slice(y, 0, routed), activated(MOE_SWIGLU, values_of(expected), n), 1e-5,
                  dtype == MOE_BFLOAT16 ? 0x1p-8 : 2e-6, "y");
      expect_same_bits(y, other, "threads");
      for (int64_t i = routed * n / 2; i < y.count(); ++i) ASSERT_EQ(y[i], 7) << "a row past the last group";
      for (const int64_t row : {0, 1, 17, 18, 33, 49}) {
        std::vector<double> alone(experts + 1, 0);
        for (int64_t e = 1; e <= experts; ++e) alone[static_cast<size_t>(e)] = offsets[e] > static_cast<double>(row);
        const Tensor one(dtype, {1, n / 2}), of = slice(addend, row, 1);
        ASSERT_MOE_OK(moe_expert_forward(stream, slice(x, row, 1), Tensor::of(MOE_INT32, {experts + 1}, alone),
                                         *weights, one, Epilogue(MOE_SWIGLU, bias, nullptr, of)));
        expect_same_bits(slice(y, row, 1), one, "a row alone");
      }
      if (HasFailure()) FAIL() << "weights of dtype " << weights->view().dtype << ", rows of " << dtype;
    }
  }
}

// Runs of four elements in every alignment of the addend.
TEST_F(AddendTest, MayBeginAnywhere) {
  for (const int64_t n : {64, 66, 67}) {
    const Tensor a = Tensor::random(MOE_BFLOAT16, {5, 16}, 1), b = Tensor::random(MOE_BFLOAT16, {n, 16}, 2);
    for (const moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
      const Tensor addend = Tensor::random(dtype, {5, n}, 3), c(MOE_FLOAT32, {5, n}), other(MOE_FLOAT32, {5, n});
      ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, b, c, Epilogue(MOE_IDENTITY, nullptr, nullptr, addend)));
      ASSERT_MOE_OK(
          moe_gemm(stream, form(0, 1), a, b, other, Epilogue(MOE_IDENTITY, nullptr, nullptr, addend.misaligned())));
      expect_same_bits(c, other, "addend aside");
    }
  }
}

TEST_F(AddendTest, RefusesOneThatDoesNotFit) {
  const Tensor a(MOE_FLOAT32, {3, 4}), b(MOE_FLOAT32, {6, 4}), c(MOE_FLOAT32, {3, 3}), whole(MOE_FLOAT32, {3, 6});
  const Tensor integers(MOE_INT32, {3, 6}), stack(MOE_FLOAT32, {1, 6, 4});
  const Tensor offsets = Tensor::of(MOE_INT32, {2}, {0, 3});
  const auto with = [](int32_t kind, const Tensor& addend) { return Epilogue(kind, nullptr, nullptr, addend); };
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "addend has shape [3, 3], expected [3, 6]",
                     moe_gemm(stream, form(0, 1), a, b, c, with(MOE_SWIGLU, Tensor(MOE_FLOAT32, {3, 3}))));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "addend is int32",
                     moe_gemm(stream, form(0, 1), a, b, whole, with(MOE_RELU, integers)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "c and addend share memory",
                     moe_gemm(stream, form(0, 1), a, b, whole, with(MOE_RELU, whole)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "accumulate excludes bias, addend",
                     moe_gemm(stream, form(0, 1, 1), a, b, whole, with(MOE_IDENTITY, Tensor(MOE_FLOAT32, {3, 6}))));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "addend has shape [3, 3], expected [3, 6]",
                     moe_expert_forward(stream, a, offsets, stack, whole, with(MOE_RELU, c)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "y and addend share memory",
                     moe_expert_forward(stream, a, offsets, stack, whole, with(MOE_RELU, whole)));
}

}  // namespace
}  // namespace moe::testing
