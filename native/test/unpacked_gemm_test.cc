// Products by packed weights that are not transposed, the gradient of a frozen layer's input: against float64, and bit
// by bit against products by the weights' numbers in row-major memory.
#include "test/blocks.h"

namespace moe::testing {
namespace {

// Packed weights, and their numbers as the backend's row-major operand.
struct Frozen {
  std::string name;
  Tensor packed, numbers;
};

class UnpackedGemmTest : public KernelTest {
 protected:
  // Of every dtype and layout, in a shape whose last size is k or, for blocks, the next multiple of one.
  std::vector<Frozen> all_of(std::vector<int64_t> shape, uint64_t seed) {
    std::vector<Frozen> all;
    for (const moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
      Tensor numbers(dtype, shape);
      const Tensor random = Tensor::random(dtype, {numbers.count()}, seed);
      for (int64_t i = 0; i < numbers.count(); ++i) numbers.set(i, random[i]);
      Tensor operand = packed(device, stream, numbers, dtype);
      all.push_back({dtype == MOE_FLOAT32 ? "float32" : "bfloat16", std::move(operand), std::move(numbers)});
    }
    for (const Format& format : kFormats) {
      std::vector<int64_t> whole = shape;
      whole.back() = (shape.back() + format.elements - 1) / format.elements * format.elements;
      const Tensor blocks = random_blocks(format, whole, seed);
      for (const moe_layout layout : {MOE_PACKED, MOE_PACKED_EXACT}) {
        all.push_back({format.name, packed(device, stream, blocks, format.dtype, layout),
                       converted(numbers_of(format, blocks), MOE_FLOAT32)});
      }
    }
    return all;
  }

  static void expect_product(const Tensor& c, const Tensor& a, const Tensor& b) {
    const auto positive = [](const Tensor& x) {
      Tensor y = converted(x, MOE_FLOAT64);
      for (int64_t i = 0; i < y.count(); ++i) y.set(i, std::abs(y[i]));
      return y;
    };
    std::vector<double> bound = product(positive(a), false, positive(b), false);
    for (double& terms : bound) terms = 1e-6 * terms + 1e-12;  // float32 sums of up to a few hundred terms
    expect_near(c, product(a, false, b, false), bound, c.view().dtype == MOE_BFLOAT16 ? 0x1p-8 : 1e-6, "c");
  }
};

TEST_F(UnpackedGemmTest, MatchesFloat64AndTheBitsOfRowMajorWeights) {
  uint64_t seed = 1;
  for (const auto& [m, n, k] :
       {std::tuple<int64_t, int64_t, int64_t>{1, 1, 32}, {3, 33, 67}, {37, 70, 300}, {2, 130, 31}}) {
    if (emulated() && m > 3) continue;
    for (const Frozen& w : all_of({n, k}, ++seed)) {
      const int64_t width = w.numbers.view().shape[1];
      for (int bits = 0; bits < 4; bits += emulated() ? 3 : 1) {
        const Tensor a = Tensor::random(bits & 1 ? MOE_BFLOAT16 : MOE_FLOAT32, {m, n}, ++seed);
        const moe_dtype c_type = bits & 2 ? MOE_BFLOAT16 : MOE_FLOAT32;
        const Tensor c(c_type, {m, width}), row_major(c_type, {m, width});
        ASSERT_MOE_OK(moe_gemm(stream, form(0, 0), a, w.packed, c, nullptr));
        ASSERT_MOE_OK(moe_gemm(stream, form(0, 0), a, w.numbers, row_major, nullptr));
        expect_product(c, a, w.numbers);
        expect_same_bits(c, row_major, "row-major weights");
        if (HasFailure()) FAIL() << w.name << " at m " << m << ", n " << n << ", k " << k << ", case " << bits;
      }
    }
  }
}

TEST_F(UnpackedGemmTest, ARowHasItsBitsAloneAndOnAnyThreads) {
  const int64_t n = 130, k = 288, m = emulated() ? 20 : 50;
  moe_stream four = 0;
  ASSERT_MOE_OK(moe_stream_create(device, 4, &four));
  streams_of_test.all.push_back(four);
  for (const Frozen& w : all_of({n, k}, 1)) {
    const int64_t width = w.numbers.view().shape[1];
    const Tensor a = Tensor::random(MOE_BFLOAT16, {m, n}, 2), all(MOE_FLOAT32, {m, width});
    ASSERT_MOE_OK(moe_gemm(single, form(0, 0), a, w.packed, all, nullptr));
    for (moe_stream any : {stream, four}) {
      const Tensor other(MOE_FLOAT32, {m, width});
      ASSERT_MOE_OK(moe_gemm(any, form(1, 0), transposed(a), w.packed, other, nullptr));
      expect_same_bits(all, other, "threads, transposed a");
    }
    for (const auto& [row, count] : {std::pair<int64_t, int64_t>{0, 1}, {m - 1, 1}, {3, 13}}) {
      const Tensor some(MOE_FLOAT32, {count, width});
      ASSERT_MOE_OK(moe_gemm(stream, form(0, 0), slice(a, row, count), w.packed, some, nullptr));
      expect_same_bits(slice(all, row, count), some, "rows alone");
    }
    if (HasFailure()) FAIL() << w.name;
  }
}

TEST_F(UnpackedGemmTest, AddsToC) {
  for (const Frozen& w : all_of({64, 512}, 1)) {
    const Tensor a = Tensor::random(MOE_FLOAT32, {21, 64}, 2), c = Tensor::random(MOE_FLOAT32, {21, 512}, 3);
    const Tensor other = slice(c, 0, 21);
    ASSERT_MOE_OK(moe_gemm(stream, form(0, 0, 1), a, w.packed, c, nullptr));
    ASSERT_MOE_OK(moe_gemm(triple, form(0, 0, 1), a, w.numbers, other, nullptr));
    expect_same_bits(c, other, w.name.c_str());
  }
}

TEST_F(UnpackedGemmTest, ExpertsMultiplyTheirGroups) {
  const int64_t experts = 5, rows = 45, routed = 40;
  const Tensor offsets = Tensor::of(MOE_INT32, {experts + 1}, {0, 3, 3, 4, 23, routed});
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{70, 96}, {33, 67}}) {
    for (const Frozen& w : all_of({experts, n, k}, 1)) {
      const int64_t width = w.numbers.view().shape[2];
      const Tensor dy = Tensor::random(MOE_BFLOAT16, {rows, n}, 2);
      Tensor dx(MOE_FLOAT32, {rows, width}), other(MOE_FLOAT32, {rows, width}), row_major(MOE_FLOAT32, {rows, width});
      for (Tensor* out : {&dx, &other, &row_major}) out->fill(7);
      ASSERT_MOE_OK(moe_expert_backward_input(single, dy, offsets, w.packed, dx));
      ASSERT_MOE_OK(moe_expert_backward_input(triple, dy, offsets, w.packed, other));
      ASSERT_MOE_OK(moe_expert_backward_input(stream, dy, offsets, w.numbers, row_major));
      expect_same_bits(dx, other, "threads");
      expect_same_bits(dx, row_major, "row-major weights");
      for (int64_t e = 0; e < experts; ++e) {
        const auto first = static_cast<int64_t>(offsets[e]), count = static_cast<int64_t>(offsets[e + 1]) - first;
        expect_product(slice(dx, first, count), slice(dy, first, count), matrix(w.numbers, e));
      }
      for (int64_t i = routed * width; i < dx.count(); ++i) ASSERT_EQ(dx[i], 7) << "a row past the last group";
      if (HasFailure()) FAIL() << w.name << " with n " << n << ", k " << k;
    }
  }
}

// Each expert in a format of its own, as a plan of quantization may choose.
TEST_F(UnpackedGemmTest, ExpertsMayBePackedOneByOne) {
  const int64_t n = 40, k = 256;
  const std::vector<Frozen> each = all_of({n, k}, 1);
  const auto experts = static_cast<int64_t>(each.size()), rows = 2 * experts;
  std::vector<moe_tensor> matrices;
  std::vector<double> starts = {0};
  for (const Frozen& w : each) {
    matrices.push_back(w.packed.view());
    starts.push_back(starts.back() + 2);
  }
  moe_tensor stack = matrices[0];
  stack.layout = MOE_PACKED_EACH;
  stack.rank = 3;
  stack.shape[0] = experts, stack.shape[1] = n, stack.shape[2] = k;
  stack.data = matrices.data();
  stack.bytes = experts * static_cast<int64_t>(sizeof(moe_tensor));
  const Tensor dy = Tensor::random(MOE_FLOAT32, {rows, n}, 2), dx(MOE_FLOAT32, {rows, k});
  const Tensor offsets = Tensor::of(MOE_INT32, {experts + 1}, starts);
  ASSERT_MOE_OK(moe_expert_backward_input(stream, dy, offsets, &stack, dx));
  for (int64_t e = 0; e < experts; ++e) {
    const Tensor alone(MOE_FLOAT32, {2, k}), both = Tensor::of(MOE_INT32, {2}, {0, 2});
    moe_tensor one = each[static_cast<size_t>(e)].packed.view();
    one.rank = 3;
    one.shape[2] = k, one.shape[1] = n, one.shape[0] = 1;
    ASSERT_MOE_OK(moe_expert_backward_input(stream, slice(dy, 2 * e, 2), both, &one, alone));
    expect_same_bits(slice(dx, 2 * e, 2), alone, each[static_cast<size_t>(e)].name.c_str());
  }
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "dx and weights share memory",
                     moe_expert_backward_input(stream, dy, offsets, &stack, [&] {
                       static moe_tensor overlapping;
                       overlapping = dx.view();
                       overlapping.data = matrices[3].data;
                       return &overlapping;
                     }()));
}

// Weights larger than the memory that they are unpacked to: several ranges of columns, one expert at a time.
TEST_F(UnpackedGemmTest, UnpacksARangeOfColumnsAtATime) {
  if (!on_cpu()) GTEST_SKIP() << "sized for the CPU's scratch";
  const int64_t experts = 2, n = 9000, k = 270;
  const Tensor weights(MOE_FLOAT32, {experts, n, k}), dy = Tensor::random(MOE_FLOAT32, {5, n}, 1);
  uint32_t random = 1;
  for (float *at = weights.data<float>(), *end = at + experts * n * k; at < end; ++at) {
    random = random * 1664525 + 1013904223;
    *at = static_cast<float>(static_cast<int32_t>(random)) * 0x1p-31f;
  }
  const Tensor offsets = Tensor::of(MOE_INT32, {experts + 1}, {0, 2, 5}),
               operand = packed(device, stream, weights, MOE_FLOAT32);
  for (const moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    const Tensor dx(dtype, {5, k}), expected(dtype, {5, k});
    ASSERT_MOE_OK(moe_expert_backward_input(stream, dy, offsets, operand, dx));
    ASSERT_MOE_OK(moe_expert_backward_input(stream, dy, offsets, weights, expected));
    expect_same_bits(dx, expected, "row-major weights");
  }
}

TEST_F(UnpackedGemmTest, EmptySizesGiveZerosOrNothing) {
  for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{0, 5, 32}, {4, 0, 32}, {4, 5, 0}}) {
    const Tensor operand = packed(device, stream, Tensor(MOE_FLOAT32, {n, k}), MOE_FLOAT32);
    Tensor c(MOE_FLOAT32, {m, k});
    c.fill(7);
    ASSERT_MOE_OK(moe_gemm(stream, form(0, 0), Tensor(MOE_FLOAT32, {m, n}), operand, c, nullptr));
    expect_near(c, std::vector<double>(static_cast<size_t>(m * k)), 0, 0, "c");
  }
}

TEST_F(UnpackedGemmTest, RefusesAnEpilogueAndOtherShapes) {
  const Tensor operand = packed(device, stream, Tensor(MOE_FLOAT32, {5, 4}), MOE_FLOAT32);
  const Tensor dy(MOE_FLOAT32, {3, 5}), dx(MOE_FLOAT32, {3, 4}), bias(MOE_FLOAT32, {4});
  const char* sentence = "packed b that is not transposed excludes bias, addend, activation and preactivation";
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, sentence,
                     moe_gemm(stream, form(0, 0), dy, operand, dx, Epilogue(MOE_IDENTITY, bias)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, sentence, moe_gemm(stream, form(0, 0), dy, operand, dx, Epilogue(MOE_RELU)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "op(a) has 4 columns but op(b) has 5 rows",
                     moe_gemm(stream, form(0, 0), dx, operand, dx, nullptr));
  const Tensor offsets = Tensor::of(MOE_INT32, {2}, {0, 3});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "expected rank 3",
                     moe_expert_backward_input(stream, dy, offsets, operand, dx));
}

}  // namespace
}  // namespace moe::testing
