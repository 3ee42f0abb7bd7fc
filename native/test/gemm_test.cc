// Dense GEMM, packing and column sums.
#include <algorithm>
#include <limits>

#include "test/gemm_reference.h"
#include "test/testing.h"

namespace moe::testing {
namespace {

class GemmTest : public KernelTest {
 protected:
  Tensor packed(const Tensor& weights, moe_dtype dtype) { return testing::packed(device, stream, weights, dtype); }

  // Expects activation(a b^T) to have the bits of c for row-major, packed and transposed b.
  void expect_bits_in_every_layout(const Tensor& c, moe_stream on, int activation, const Tensor& a, const Tensor& b) {
    const Tensor other(MOE_FLOAT32, {c.view().shape[0], c.view().shape[1]});
    ASSERT_MOE_OK(moe_gemm(on, form(0, 1), a, b, other, Epilogue(activation)));
    expect_same_bits(c, other, "row-major b");
    const Tensor b_packed = packed(b, static_cast<moe_dtype>(b.view().dtype));
    ASSERT_MOE_OK(moe_gemm(on, form(0, 1), a, b_packed, other, Epilogue(activation)));
    expect_same_bits(c, other, "packed b");
    ASSERT_MOE_OK(moe_gemm(on, form(0, 0), a, transposed(b), other, Epilogue(activation)));
    expect_same_bits(c, other, "transposed b");
  }
};

struct Case {
  int64_t m, n, k;
};

// Every size at least once, and sizes with one, several and partial panels and mc, kc and nc blocks.
const Case kCases[] = {{0, 5, 3},      {5, 0, 3},     {3, 5, 0},     {1, 1, 1},      {2, 3, 5},       {3, 2, 7},
                       {5, 7, 2},      {7, 16, 8},    {8, 15, 16},   {15, 17, 15},   {16, 31, 33},    {17, 33, 17},
                       {31, 64, 31},   {33, 100, 64}, {64, 8, 100},  {100, 1, 3},    {1, 100, 257},   {2, 130, 300},
                       {3, 77, 259},   {4, 65, 513},  {6, 66, 1000}, {13, 129, 520}, {100, 70, 1031}, {230, 48, 40},
                       {200, 32, 140}, {600, 0, 140}, {5, 2100, 150}};

TEST_F(GemmTest, MatchesFloat64InEveryTransposeAndDtype) {
  uint64_t seed = 1;
  for (const auto& [m, n, k] : kCases) {
    for (int bits = 0; bits < 32; ++bits) {
      const bool ta = bits & 1, tb = bits & 2;
      const moe_dtype a_type = bits & 4 ? MOE_BFLOAT16 : MOE_FLOAT32, b_type = bits & 8 ? MOE_BFLOAT16 : MOE_FLOAT32;
      const moe_dtype c_type = bits & 16 ? MOE_BFLOAT16 : MOE_FLOAT32;
      const Tensor a = Tensor::random(a_type, {ta ? k : m, ta ? m : k}, ++seed);
      const Tensor b = Tensor::random(b_type, {tb ? n : k, tb ? k : n}, ++seed);
      const Tensor c(c_type, {m, n});
      ASSERT_MOE_OK(moe_gemm(stream, form(ta, tb), a, b, c, nullptr));
      // k roundings to 24 bits of sums that wander to about sqrt(k); bfloat16 outputs are rounded to 8 bits.
      expect_near(c, product(a, ta, b, tb), 1e-6 + 1e-7 * static_cast<double>(k),
                  c_type == MOE_BFLOAT16 ? 0x1p-8 : 1e-6, "c");
      if (HasFailure()) FAIL() << "at m " << m << ", n " << n << ", k " << k << ", case " << bits;
    }
  }
}

TEST_F(GemmTest, AppliesBiasAndActivationAndKeepsThePreactivation) {
  for (const auto& [m, n, k] :
       {Case{1, 6, 5}, Case{3, 34, 7}, Case{9, 64, 33}, Case{4, 96, 20}, Case{7, 200, 3}, Case{9, 0, 600}}) {
    for (int activation = MOE_IDENTITY; activation <= MOE_GEGLU_TANH; ++activation) {
      for (moe_dtype c_type : {MOE_FLOAT32, MOE_BFLOAT16}) {
        const Tensor a = Tensor::random(MOE_FLOAT32, {m, k}, 10), b = Tensor::random(MOE_FLOAT32, {n, k}, 11);
        const Tensor bias = Tensor::random(MOE_FLOAT32, {n}, 12, -3, 3);
        const int64_t width = is_gated(activation) ? n / 2 : n;
        const Tensor c(c_type, {m, width}), pre(MOE_FLOAT32, {m, n}), without(c_type, {m, width});
        ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, b, c, Epilogue(activation, bias, pre)));
        ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, b, without, Epilogue(activation, bias)));
        expect_same_bits(c, without, "c with and without a preactivation");
        std::vector<double> expected = product(a, false, b, true);
        add_bias(expected, bias);
        expect_near(pre, expected, 1e-5, 1e-6, "preactivation");
        expect_near(c, activated(activation, expected, n), 2e-5, c_type == MOE_BFLOAT16 ? 0x1p-8 : 2e-6, "c");
        if (HasFailure()) FAIL() << "at m " << m << ", n " << n << ", activation " << activation;
      }
    }
  }
}

TEST_F(GemmTest, WritesABfloat16Preactivation) {
  const Tensor a = Tensor::random(MOE_BFLOAT16, {5, 9}, 1), b = Tensor::random(MOE_BFLOAT16, {20, 9}, 2);
  const Tensor c(MOE_BFLOAT16, {5, 10}), pre(MOE_BFLOAT16, {5, 20});
  ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, b, c, Epilogue(MOE_SWIGLU, nullptr, pre)));
  expect_near(pre, product(a, false, b, true), 1e-6, 0x1p-8, "preactivation");
}

TEST_F(GemmTest, AccumulatesIntoC) {
  // Rank-k updates and longer sums; one and several column blocks.
  for (const auto& [m, n, k] : {Case{19, 37, 300}, Case{61, 1100, 17}, Case{3, 2060, 128}, Case{1, 5, 1},
                                Case{400, 32, 1031}, Case{300, 256, 140}}) {
    for (int bits = 0; bits < 4; ++bits) {
      const moe_dtype b_type = bits & 1 ? MOE_BFLOAT16 : MOE_FLOAT32, c_type = bits & 2 ? MOE_BFLOAT16 : MOE_FLOAT32;
      const Tensor a = Tensor::random(MOE_FLOAT32, {k, m}, 1), b = Tensor::random(b_type, {k, n}, 2);
      const Tensor c = Tensor::random(c_type, {m, n}, 3, -20, 20), other = slice(c, 0, m);
      std::vector<double> expected = product(a, true, b, false);
      for (size_t i = 0; i < expected.size(); ++i) expected[i] += c[static_cast<int64_t>(i)];
      ASSERT_MOE_OK(moe_gemm(stream, form(1, 0, 1), a, b, c, nullptr));
      ASSERT_MOE_OK(moe_gemm(triple, form(1, 0, 1), a, b, other, nullptr));
      // Roundings grow with k; the last one includes the old value.
      expect_near(c, expected, std::max(2e-6, 1e-7 * static_cast<double>(k)), c_type == MOE_BFLOAT16 ? 0x1p-8 : 1e-6,
                  "c");
      expect_same_bits(c, other, "threads");
    }
  }
}

TEST_F(GemmTest, ARowsBitsDoNotDependOnTheOtherRows) {
  for (moe_dtype b_type : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int activation : {MOE_GELU, MOE_SWIGLU}) {
      const int64_t n = 150, k = 601;
      const Tensor b = Tensor::random(b_type, {n, k}, 1), bias = Tensor::random(MOE_FLOAT32, {n}, 2);
      const Tensor b_packed = packed(b, b_type);
      const int64_t width = is_gated(activation) ? n / 2 : n;
      for (int64_t m : {2, 3, 4, 5, 6, 7, 8, 12, 13, 37, 130}) {
        const Tensor a = Tensor::random(b_type, {m, k}, 3), c(MOE_FLOAT32, {m, width});
        ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, b_packed, c, Epilogue(activation, bias)));
        const Tensor row_major(MOE_FLOAT32, {m, width});
        ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, b, row_major, Epilogue(activation, bias)));
        expect_same_bits(row_major, c, "weights not packed");
        for (int64_t row : {int64_t{0}, m / 2, m - 1}) {
          const Tensor one = slice(a, row, 1), c_one(MOE_FLOAT32, {1, width});
          ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), one, b_packed, c_one, Epilogue(activation, bias)));
          expect_same_bits(slice(c, row, 1), c_one, "a row alone");
          ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), one, b, c_one, Epilogue(activation, bias)));
          expect_same_bits(slice(c, row, 1), c_one, "a row alone, weights not packed");
        }
        if (HasFailure()) FAIL() << "at m " << m << ", activation " << activation << ", dtype " << b_type;
      }
    }
  }
}

// Sizes at which kernels change: few rows and many; one tile, several and partial ones.
TEST_F(GemmTest, ARowHasTheSameBitsAloneAndAmongMany) {
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (const auto& [n, k] : {std::pair<int64_t, int64_t>{136, 264}, {33, 67}}) {
      const Tensor b = Tensor::random(dtype, {n, k}, 1), bias = Tensor::random(MOE_FLOAT32, {n}, 2);
      const Tensor all = Tensor::random(dtype, {1600, k}, 3);
      for (int64_t m : {1, 15, 16, 17, 64, 65, 200, 1600}) {
        if (emulated() && m > 200) continue;
        const Tensor c(dtype, {m, n});
        ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), slice(all, 0, m), b, c, Epilogue(MOE_GELU_TANH, bias)));
        for (int64_t row : {int64_t{0}, m / 2, m - 1}) {
          const Tensor alone(dtype, {1, n});
          ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), slice(all, row, 1), b, alone, Epilogue(MOE_GELU_TANH, bias)));
          expect_same_bits(slice(c, row, 1), alone, "a row alone");
        }
        if (HasFailure()) FAIL() << "at m " << m << ", n " << n << ", dtype " << dtype;
      }
    }
  }
}

// Whole tiles and partial ones, rows of multiples of 16 bytes and others, each operand transposed or not.
TEST_F(GemmTest, MultipliesBfloat16OfSizesAroundItsTiles) {
  uint64_t seed = 100;
  for (const auto& [m, n, k] :
       {Case{128, 128, 64}, Case{16, 32, 128}, Case{130, 136, 72}, Case{127, 129, 33}, Case{17, 31, 129},
        Case{15, 40, 264}, Case{200, 8, 16}, Case{65, 264, 100}, Case{150, 136, 648}}) {
    for (int bits = 0; bits < 4; ++bits) {
      const bool ta = bits & 1, tb = bits & 2;
      const Tensor a = Tensor::random(MOE_BFLOAT16, {ta ? k : m, ta ? m : k}, ++seed);
      const Tensor b = Tensor::random(MOE_BFLOAT16, {tb ? n : k, tb ? k : n}, ++seed);
      const Tensor c(MOE_FLOAT32, {m, n}), other(MOE_FLOAT32, {m, n});
      ASSERT_MOE_OK(moe_gemm(stream, form(ta, tb), a, b, c, nullptr));
      expect_near(c, product(a, ta, b, tb), 1e-6 + 1e-7 * static_cast<double>(k), 1e-6, "c");
      // Operands that begin where no 16-byte access may. A GPU of sm_90 multiplies them by other instructions.
      ASSERT_MOE_OK(moe_gemm(stream, form(ta, tb), a.misaligned(), b.misaligned(), other, nullptr));
      if (on_cpu() || emulated()) {
        expect_same_bits(c, other, "operands aside");
      } else {
        expect_near(other, product(a, ta, b, tb), 1e-6 + 1e-7 * static_cast<double>(k), 1e-6, "operands aside");
      }
      if (HasFailure()) FAIL() << "at m " << m << ", n " << n << ", k " << k << ", case " << bits;
    }
  }
}

// Gate and up half are apart in b, along its rows or its columns; tiles of either are whole and partial.
TEST_F(GemmTest, MultipliesBfloat16OfSizesForSwiGluInEitherLayout) {
  for (const auto& [m, n, k] : {Case{1, 144, 72}, Case{20, 144, 136}, Case{70, 272, 64}}) {
    const Tensor a = Tensor::random(MOE_BFLOAT16, {m, k}, 1), b = Tensor::random(MOE_BFLOAT16, {n, k}, 2);
    const Tensor c(MOE_FLOAT32, {m, n / 2}), other(MOE_FLOAT32, {m, n / 2});
    ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, b, c, Epilogue(MOE_SWIGLU)));
    expect_near(c, activated(MOE_SWIGLU, product(a, false, b, true), n), 2e-5, 2e-6, "c");
    ASSERT_MOE_OK(moe_gemm(stream, form(0, 0), a, transposed(b), other, Epilogue(MOE_SWIGLU)));
    expect_same_bits(c, other, "transposed b");
    if (HasFailure()) FAIL() << "at m " << m << ", n " << n << ", k " << k;
  }
}

// Float32 operands of layers with more than 512 outputs and inputs; CUDA has other kernels for smaller ones.
TEST_F(GemmTest, MultipliesFloat32OfLargeLayers) {
  uint64_t seed = 200;
  for (const auto& [m, n, k] : {Case{3, 515, 514}, Case{20, 514, 513}, Case{70, 513, 514}, Case{514, 515, 3}}) {
    for (int bits = 0; bits < 6; ++bits) {
      const bool ta = m > k, tb = bits & 1;  // a gradient of weights
      const moe_dtype a_type = bits / 2 == 1 ? MOE_BFLOAT16 : MOE_FLOAT32;
      const moe_dtype b_type = bits / 2 == 2 ? MOE_BFLOAT16 : MOE_FLOAT32;
      const Tensor a = Tensor::random(a_type, {ta ? k : m, ta ? m : k}, ++seed);
      const Tensor b = Tensor::random(b_type, {tb ? n : k, tb ? k : n}, ++seed);
      const Tensor c(MOE_FLOAT32, {m, n});
      ASSERT_MOE_OK(moe_gemm(stream, form(ta, tb), a, b, c, nullptr));
      expect_near(c, product(a, ta, b, tb), 1e-6 + 1e-7 * static_cast<double>(k), 1e-6, "c");
      if (HasFailure()) FAIL() << "at m " << m << ", n " << n << ", k " << k << ", case " << bits;
    }
  }
}

// Several mc, kc and nc blocks; no size is a multiple of anything.
TEST_F(GemmTest, MultipliesBfloat16OfSeveralBlocks) {
  const int64_t m = 297, n = 301, k = 533;
  const Tensor a = Tensor::random(MOE_BFLOAT16, {m, k}, 1), b = Tensor::random(MOE_BFLOAT16, {n, k}, 2);
  const std::vector<double> expected = product(a, false, b, true);
  const Tensor row_major(MOE_FLOAT32, {m, n}), c(MOE_FLOAT32, {m, n});
  ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, b, row_major, nullptr));
  expect_near(row_major, expected, 1e-6 + 1e-7 * k, 1e-6, "row-major b");
  ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, packed(b, MOE_BFLOAT16), c, nullptr));
  expect_same_bits(c, row_major, "packed b");
  const Tensor both(MOE_FLOAT32, {m, n});
  ASSERT_MOE_OK(moe_gemm(stream, form(1, 0), transposed(a), transposed(b), both, nullptr));
  expect_same_bits(both, row_major, "both transposed");

  // SwiGLU's up half begins within a panel: a column block needs one panel more.
  const int64_t even = 300;
  const Tensor gates = slice(b, 0, even), gated(MOE_FLOAT32, {m, even / 2}), other(MOE_FLOAT32, {m, even / 2});
  ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, gates, gated, Epilogue(MOE_SWIGLU)));
  expect_near(gated, activated(MOE_SWIGLU, product(a, false, gates, true), even), 1e-4, 1e-5, "gated");
  ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, packed(gates, MOE_BFLOAT16), other, Epilogue(MOE_SWIGLU)));
  expect_same_bits(other, gated, "gated, packed b");
}

// The steps of a panel may end at any k; the next panel follows in memory with arbitrary values.
TEST_F(GemmTest, ColumnsDoNotSeeTheNextPanel) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (int64_t k : {1, 7, 40, 65, 530}) {
      const int64_t m = 33, n = 128, finite = 64;  // columns; more than a panel has
      const Tensor a = Tensor::random(dtype, {m, k}, 1), b = Tensor::random(dtype, {n, k}, 2);
      Tensor spoilt = converted(b, dtype);
      for (int64_t i = finite * k; i < n * k; ++i) spoilt.set(i, infinity);
      const Tensor c(MOE_FLOAT32, {m, n}), other(MOE_FLOAT32, {m, n});
      ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, packed(b, dtype), c, nullptr));
      ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, packed(spoilt, dtype), other, nullptr));
      for (int64_t row = 0; row < m; ++row) {
        for (int64_t i = row * n; i < row * n + finite; ++i) {
          ASSERT_EQ(c[i], other[i]) << "at " << i << ", k " << k << ", dtype " << dtype;
        }
      }
    }
  }
}

TEST_F(GemmTest, BitsDoNotDependOnThreadsPackingOrRun) {
  for (const auto& [m, n, k] :
       {Case{1, 300, 129}, Case{5, 97, 64}, Case{40, 130, 515}, Case{300, 20, 33}, Case{700, 66, 1031},
        Case{300, 64, 140}, Case{200, 288, 131}, Case{1600, 66, 140}, Case{1600, 40, 531}, Case{1537, 258, 257}}) {
    if (emulated() && m * n * k > 10'000'000) continue;  // sized for the CPU's caches
    for (int bits = 0; bits < 4; ++bits) {
      const moe_dtype a_type = bits & 1 ? MOE_BFLOAT16 : MOE_FLOAT32, b_type = bits & 2 ? MOE_BFLOAT16 : MOE_FLOAT32;
      const Tensor a = Tensor::random(a_type, {m, k}, 1), b = Tensor::random(b_type, {n, k}, 2);
      const Tensor c(MOE_FLOAT32, {m, n}), other(MOE_FLOAT32, {m, n});
      ASSERT_MOE_OK(moe_gemm(single, form(0, 1), a, b, c, Epilogue(MOE_SILU)));
      for (moe_stream any : streams()) {
        expect_bits_in_every_layout(c, any, MOE_SILU, a, b);
      }
      ASSERT_MOE_OK(moe_gemm(stream, form(1, 1), transposed(a), b, other, Epilogue(MOE_SILU)));
      expect_same_bits(c, other, "transposed a");
      ASSERT_MOE_OK(moe_gemm(stream, form(1, 0), transposed(a), transposed(b), other, Epilogue(MOE_SILU)));
      expect_same_bits(c, other, "both transposed");
    }
  }
}

// The gradient of a matrix with many rows: its a has thousands of adjacent rows, so that consecutive k are far apart.
TEST_F(GemmTest, MultipliesRowsThatLieSideBySideWithStepsFarApart) {
  for (const auto& [dtype, m] : {std::pair<moe_dtype, int64_t>{MOE_FLOAT32, 2050}, {MOE_BFLOAT16, 4100}}) {
    const int64_t n = 9;
    for (int64_t k : {131, 290}) {
      const Tensor a = Tensor::random(dtype, {k, m}, 1), b = Tensor::random(dtype, {k, n}, 2);
      const Tensor c(MOE_FLOAT32, {m, n}), other(MOE_FLOAT32, {m, n});
      ASSERT_MOE_OK(moe_gemm(stream, form(1, 0), a, b, c, nullptr));
      expect_near(c, product(a, true, b, false), 1e-6 + 1e-7 * static_cast<double>(k), 1e-6, "c");
      for (moe_stream any : streams()) {
        ASSERT_MOE_OK(moe_gemm(any, form(0, 0), transposed(a), b, other, nullptr));
        expect_same_bits(c, other, "rows along k");
      }
      if (HasFailure()) FAIL() << "at k " << k << ", dtype " << dtype;
    }
  }
}

// With many threads column blocks are narrow: with SwiGLU one panel of each half.
TEST_F(GemmTest, BitsDoNotDependOnManyThreads) {
  moe_stream many = 0;
  ASSERT_MOE_OK(moe_stream_create(device, 16, &many));
  streams_of_test.all.push_back(many);
  for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    for (const auto& [m, n, k] : {Case{200, 150, 601}, Case{3, 322, 530}, Case{40, 128, 300}}) {
      if (emulated() && m * n * k > 10'000'000) continue;
      const Tensor a = Tensor::random(dtype, {m, k}, 1), b = Tensor::random(dtype, {n, k}, 2);
      for (int activation : {MOE_GELU, MOE_SWIGLU}) {
        const Tensor c(MOE_FLOAT32, {m, is_gated(activation) ? n / 2 : n});
        ASSERT_MOE_OK(moe_gemm(single, form(0, 1), a, b, c, Epilogue(activation)));
        expect_bits_in_every_layout(c, many, activation, a, b);
        if (HasFailure()) FAIL() << "at m " << m << ", activation " << activation << ", dtype " << dtype;
      }
    }
  }
}

TEST_F(GemmTest, PackingConvertsTheDtype) {
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {16, 8}, {37, 21}, {100, 64}}) {
    for (int bits = 0; bits < 4; ++bits) {
      const moe_dtype from = bits & 1 ? MOE_BFLOAT16 : MOE_FLOAT32, to = bits & 2 ? MOE_BFLOAT16 : MOE_FLOAT32;
      const Tensor a = Tensor::random(MOE_FLOAT32, {3, k}, 1), b = Tensor::random(from, {n, k}, 2);
      const Tensor rounded = converted(b, to), c(MOE_FLOAT32, {3, n}), expected(MOE_FLOAT32, {3, n});
      ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, packed(b, to), c, nullptr));
      ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, rounded, expected, nullptr));
      expect_same_bits(c, expected, "packed with conversion");
    }
  }
}

TEST_F(GemmTest, ColumnSumAddsRowsInOrder) {
  for (const auto& [s, n] : {std::pair<int64_t, int64_t>{0, 3}, {1, 1}, {5, 7}, {129, 300}, {33, 1000}, {10, 2500}}) {
    for (moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
      const Tensor x = Tensor::random(dtype, {s, n}, 1), y(MOE_FLOAT32, {n}), other(MOE_FLOAT32, {n});
      std::vector<double> expected(static_cast<size_t>(n), 0.5);
      for (int64_t i = 0; i < n; ++i) y.data<float>()[i] = other.data<float>()[i] = 0.5f;
      for (int64_t i = 0; i < s * n; ++i) expected[static_cast<size_t>(i % n)] += x[i];
      ASSERT_MOE_OK(moe_column_sum(triple, x, y));
      ASSERT_MOE_OK(moe_column_sum(single, x, other));
      expect_near(y, expected, 1e-5, 1e-6, "y");
      expect_same_bits(y, other, "threads");
    }
  }
}

TEST_F(GemmTest, RefusesArgumentsThatDoNotFit) {
  const Tensor a(MOE_FLOAT32, {3, 4}), b(MOE_FLOAT32, {5, 4}), c(MOE_FLOAT32, {3, 5}), odd(MOE_INT32, {5, 4});
  const Tensor narrow(MOE_FLOAT32, {5, 3}), bias(MOE_FLOAT32, {4}), ranked(MOE_FLOAT32, {1, 5, 4});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "a is null", moe_gemm(stream, form(0, 1), nullptr, b, c, Epilogue(0)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "dtype is int32", moe_gemm(stream, form(0, 1), a, odd, c, Epilogue(0)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "op(a) has 4 columns but op(b) has 3 rows",
                     moe_gemm(stream, form(0, 1), a, narrow, c, Epilogue(0)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "expected rank 2", moe_gemm(stream, form(0, 1), a, ranked, c, Epilogue(0)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bias has shape [4], expected [5]",
                     moe_gemm(stream, form(0, 1), a, b, c, Epilogue(0, bias)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "even number of columns",
                     moe_gemm(stream, form(0, 1), a, b, c, Epilogue(MOE_SWIGLU)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "accumulate excludes",
                     moe_gemm(stream, form(0, 1, 1), a, b, c, Epilogue(MOE_RELU)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "transpose_b is 2", moe_gemm(stream, form(0, 2), a, b, c, Epilogue(0)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "activation 8 is unknown",
                     moe_gemm(stream, form(0, 1), a, b, c, Epilogue(8)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "share memory",
                     moe_gemm(stream, form(0, 1), c, Tensor(MOE_FLOAT32, {5, 5}), c, Epilogue(0)));
}

TEST_F(GemmTest, RefusesPackedMemoryThatIsTooSmall) {
  const Tensor a(MOE_FLOAT32, {3, 4}), b(MOE_FLOAT32, {5, 4}), c(MOE_FLOAT32, {3, 5});
  Tensor small(MOE_FLOAT32, {5, 4});
  small.view().layout = MOE_PACKED;
  small.view().bytes = 5 * 4 * 4 - 4;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bytes packed", moe_gemm_pack(stream, b, small));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bytes packed", moe_gemm(stream, form(0, 1), a, small, c, Epilogue(0)));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "packed is row-major",
                     moe_gemm_pack(stream, b, Tensor(MOE_FLOAT32, {5, 4})));
}

TEST_F(GemmTest, PackedWeightsAreCopiedWhole) {
  const Tensor b = Tensor::random(MOE_FLOAT32, {5, 4}, 1), b_packed = packed(b, MOE_BFLOAT16);
  Tensor copy = packed(Tensor(MOE_FLOAT32, {5, 4}), MOE_BFLOAT16);
  ASSERT_MOE_OK(moe_memory_copy(stream, b_packed, copy));
  ASSERT_MOE_OK(moe_stream_synchronize(stream));
  expect_same_bits(b_packed, copy);
  const moe_tensor whole = copy.view();
  copy.view().bytes = b_packed.view().bytes - 4;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bytes packed", moe_memory_copy(stream, b_packed, copy));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bytes packed", moe_memory_copy(stream, copy, b_packed));
  copy.view() = whole;
  copy.view().data = nullptr;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "null data", moe_memory_copy(stream, b_packed, copy));
  copy.view() = whole;
  std::swap(copy.view().shape[0], copy.view().shape[1]);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "src has shape [5, 4] but dst has [4, 5]",
                     moe_memory_copy(stream, b_packed, copy));
  copy.view() = whole;
}

TEST_F(GemmTest, RefusesShapesThatAreNotWeights) {
  int64_t bytes = 0;
  const int64_t shape[] = {4, 5, 6}, negative[] = {4, -5}, huge[] = {int64_t{1} << 40, int64_t{1} << 40};
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "expected 2 or 3", moe_gemm_packed_bytes(device, 0, 1, shape, &bytes));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "dtype is", moe_gemm_packed_bytes(device, MOE_INT32, 2, shape, &bytes));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "shape[1] is -5", moe_gemm_packed_bytes(device, 0, 2, negative, &bytes));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "overflow", moe_gemm_packed_bytes(device, 0, 2, huge, &bytes));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bytes is null", moe_gemm_packed_bytes(device, 0, 2, shape, nullptr));
  ASSERT_MOE_OK(moe_gemm_packed_bytes(device, MOE_BFLOAT16, 3, shape, &bytes));
  EXPECT_GE(bytes, 4 * 5 * 6 * 2);
}

}  // namespace
}  // namespace moe::testing
