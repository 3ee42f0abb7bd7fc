// GEMM with weights in blocks: each format against float64 products of its values and the rows, which a CPU rounds to
// int8 and a GPU does not.
#include <array>
#include <limits>

#include "test/blocks.h"

namespace moe::testing {
namespace {

// Rows like the kernel rounds them: int8 times a scale, the largest magnitude of each 32 divided by 127, in 22 bits.
Tensor rounded(const Tensor& a) {
  const int64_t rows = a.view().shape[0], inner = a.view().shape[1];
  Tensor y(MOE_FLOAT64, {rows, inner});
  for (int64_t i = 0; i < rows * inner; i += 32) {
    float most = 0;
    for (int64_t j = i; j < i + 32; ++j) most = std::max(most, std::abs(static_cast<float>(a[j])));
    const float scale = std::bit_cast<float>((std::bit_cast<uint32_t>(most / 127) + 3) & ~3u);
    const float inverse = most > 0 ? 1 / scale : 0;
    for (int64_t j = i; j < i + 32; ++j) {
      y.set(j, scale * static_cast<double>(std::nearbyintf(static_cast<float>(a[j]) * inverse)));
    }
  }
  return y;
}

class BlockGemmTest : public KernelTest {
 protected:
  // Rows as the backend multiplies them.
  static Tensor multiplied(const Format& format, const Tensor& a) {
    return on_cpu() && rounds_rows(format) ? rounded(a) : converted(a, MOE_FLOAT64);
  }
  // Relative to the sum of magnitudes: two or three roundings per 32 k on a CPU, whose sums of codes are exact; of
  // float32 sums; on a GPU the tolerance of products by tensor cores.
  static double tolerance(const Format& format) { return !on_cpu() ? 0x1p-20 : rounds_rows(format) ? 3e-7 : 1e-6; }
  Tensor packed(const Format& format, const Tensor& blocks) {
    return testing::packed(device, stream, blocks, format.dtype);
  }
};

TEST_F(BlockGemmTest, MatchesFloat64) {
  uint64_t seed = 1;
  for (const Format& format : kFormats) {
    for (const auto& [m, n, least] : {std::array<int64_t, 3>{1, 1, 32},
                                      {2, 31, 64},
                                      {3, 32, 96},
                                      {4, 33, 32},
                                      {5, 64, 160},
                                      {6, 100, 64},
                                      {7, 65, 288},
                                      {13, 130, 96},
                                      {70, 200, 64},
                                      {230, 40, 32},
                                      {9, 70, 1440},
                                      {3, 5, 0},
                                      {0, 5, 32},
                                      {4, 0, 32}}) {
      const int64_t k = (least + format.elements - 1) / format.elements * format.elements;
      for (moe_dtype a_type : {MOE_FLOAT32, MOE_BFLOAT16}) {
        const Tensor a = Tensor::random(a_type, {m, k}, ++seed), b = random_blocks(format, {n, k}, ++seed);
        const Tensor numbers = numbers_of(format, b), left = multiplied(format, a), c(MOE_FLOAT32, {m, n});
        ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, packed(format, b), c, nullptr));
        expect_near(c, product(left, false, numbers, true), magnitudes(left, numbers, tolerance(format)), 1e-6, "c");
        if (HasFailure()) FAIL() << format.name << " at m " << m << ", n " << n << ", k " << k;
      }
    }
  }
}

TEST_F(BlockGemmTest, ARowHasTheSameBitsAloneAmongManyAndOnEveryThread) {
  for (const Format& format : kFormats) {
    const int64_t n = 150, k = 1280;  // several kc of a CPU, stages of a GPU
    const Tensor b = packed(format, random_blocks(format, {n, k}, 1)), bias = Tensor::random(MOE_FLOAT32, {n}, 2);
    const Tensor all = Tensor::random(MOE_BFLOAT16, {257, k}, 3);
    const std::vector<int64_t> few = {1, 7, 9, 65}, many = {1, 2, 3, 4, 5, 6, 7, 12, 13, 37, 130, 257};
    for (int64_t m : emulated() ? few : many) {
      const Tensor c(MOE_FLOAT32, {m, n / 2}), other(MOE_FLOAT32, {m, n / 2});
      ASSERT_MOE_OK(moe_gemm(single, form(0, 1), slice(all, 0, m), b, c, Epilogue(MOE_SWIGLU, bias)));
      ASSERT_MOE_OK(moe_gemm(triple, form(0, 1), slice(all, 0, m), b, other, Epilogue(MOE_SWIGLU, bias)));
      expect_same_bits(c, other, "threads");
      for (int64_t row : {int64_t{0}, m / 2, m - 1}) {
        const Tensor alone(MOE_FLOAT32, {1, n / 2});
        ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), slice(all, row, 1), b, alone, Epilogue(MOE_SWIGLU, bias)));
        expect_same_bits(slice(c, row, 1), alone, "a row alone");
      }
      if (HasFailure()) FAIL() << format.name << " at m " << m;
    }
  }
}

TEST_F(BlockGemmTest, ExpertsMultiplyTheirGroupsAsAGemmDoes) {
  for (const Format& format : kFormats) {
    const int64_t experts = 5, n = 70, k = 512;
    const std::vector<int32_t> starts = {0, 3, 3, 4, 23, 40};
    const Tensor weights = random_blocks(format, {experts, n, k}, 5), x = Tensor::random(MOE_BFLOAT16, {40, k}, 6);
    const Tensor bias = Tensor::random(MOE_FLOAT32, {experts, n}, 7), y(MOE_BFLOAT16, {40, n / 2});
    const Tensor offsets = Tensor::of(MOE_INT32, {experts + 1}, {starts.begin(), starts.end()});
    ASSERT_MOE_OK(moe_expert_forward(triple, x, offsets, packed(format, weights), y, Epilogue(MOE_SWIGLU, bias)));
    for (int64_t e = 0; e < experts; ++e) {
      const int64_t rows = starts[e + 1] - starts[e];
      const Tensor group(MOE_BFLOAT16, {rows, n / 2});
      Tensor bias_of = slice(bias, e, 1);
      bias_of.view().rank = 1;
      bias_of.view().shape[0] = n;
      Tensor one = random_blocks(format, {n, k}, 0);
      std::memcpy(one.data<uint8_t>(), weights.data<uint8_t>() + e * one.view().bytes, one.view().bytes);
      ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), slice(x, starts[e], rows), packed(format, one), group,
                             Epilogue(MOE_SWIGLU, bias_of)));
      expect_same_bits(slice(y, starts[e], rows), group, format.name);
    }
  }
}

// Experts' matrices [N, K] that are packed one by one: two of them in one memory, others in dtypes of their own.
struct Several {
  static constexpr int64_t kRows = 70, kColumns = 256;
  std::vector<Tensor> operands;
  std::vector<moe_tensor> each;
  moe_tensor weights{};

  void add(Tensor operand) {
    const int64_t count = operand.view().rank == 3 ? operand.view().shape[0] : 1;
    for (int64_t i = 0; i < count; ++i) {
      moe_tensor one = operand.view();
      one.rank = 2;
      one.bytes /= count;
      one.data = static_cast<char*>(one.data) + i * one.bytes;
      one.shape[0] = kRows;
      one.shape[1] = kColumns;
      each.push_back(one);
    }
    operands.push_back(std::move(operand));
    const auto experts = static_cast<int64_t>(each.size());
    weights = {sizeof(moe_tensor),
               each[0].dtype,
               each.data(),
               experts * int64_t{sizeof(moe_tensor)},
               3,
               MOE_PACKED_EACH,
               {experts, kRows, kColumns}};
  }
};

class SeveralFormatsTest : public BlockGemmTest {
 protected:
  void SetUp() override {
    BlockGemmTest::SetUp();
    const std::vector<int64_t> shape = {Several::kRows, Several::kColumns};
    several.add(testing::packed(device, stream, Tensor::random(MOE_FLOAT32, {shape[0], shape[1]}, 1), MOE_BFLOAT16));
    several.add(packed(kFormats[1], random_blocks(kFormats[1], {2, shape[0], shape[1]}, 2)));
    for (const Format& format : kFormats) several.add(packed(format, random_blocks(format, shape, 3)));
    several.add(testing::packed(device, stream, random_blocks(kFormats[0], shape, 4), MOE_Q8_0, MOE_PACKED_EXACT));
    several.add(testing::packed(device, stream, Tensor::random(MOE_FLOAT32, {shape[0], shape[1]}, 5), MOE_FLOAT32));
  }
  Several several;
};

TEST_F(SeveralFormatsTest, EachExpertHasTheBitsOfItselfAlone) {
  const auto experts = static_cast<int64_t>(several.each.size());
  std::vector<double> starts = {0};
  for (int64_t e = 0; e < experts; ++e) starts.push_back(starts.back() + static_cast<double>(e * 5 % 9));  // 0 to 8
  const auto rows = static_cast<int64_t>(starts.back()) + 1;
  const int64_t n = Several::kRows;
  const Tensor bias = Tensor::random(MOE_FLOAT32, {experts, n}, 7);
  const Tensor offsets = Tensor::of(MOE_INT32, {experts + 1}, starts);
  for (const moe_dtype dtype : {MOE_FLOAT32, MOE_BFLOAT16}) {
    const Tensor x = Tensor::random(dtype, {rows, Several::kColumns}, 6), y(MOE_FLOAT32, {rows, n / 2});
    const Tensor before(MOE_FLOAT32, {rows, n});
    ASSERT_MOE_OK(moe_expert_forward(triple, x, offsets, &several.weights, y, Epilogue(MOE_SWIGLU, bias, before)));
    for (int64_t e = 0; e < experts; ++e) {
      const auto start = static_cast<int64_t>(starts[static_cast<size_t>(e)]);
      const int64_t count = static_cast<int64_t>(starts[static_cast<size_t>(e) + 1]) - start;
      const Tensor group(MOE_FLOAT32, {count, n / 2}), sums(MOE_FLOAT32, {count, n});
      const Tensor own = Tensor::of(MOE_INT32, {2}, {0, static_cast<double>(count)});
      moe_tensor alone = several.each[static_cast<size_t>(e)];
      alone.rank = 3;
      alone.shape[2] = alone.shape[1];
      alone.shape[1] = alone.shape[0];
      alone.shape[0] = 1;
      ASSERT_MOE_OK(moe_expert_forward(stream, slice(x, start, count), own, &alone, group,
                                       Epilogue(MOE_SWIGLU, slice(bias, e, 1), sums)));
      expect_same_bits(slice(y, start, count), group, "y");
      expect_same_bits(slice(before, start, count), sums, "preactivation");
      if (HasFailure()) FAIL() << "expert " << e << " of dtype " << alone.dtype;
    }
  }
}

TEST_F(SeveralFormatsTest, RefusesWrongDescriptors) {
  const auto experts = static_cast<int64_t>(several.each.size());
  const Tensor x = Tensor::random(MOE_FLOAT32, {3, Several::kColumns}, 1), y(MOE_FLOAT32, {3, Several::kRows});
  const Tensor offsets(MOE_INT32, {experts + 1}), other(MOE_FLOAT32, {3, Several::kColumns});
  const auto refused = [&](const char* message, const Tensor& output) {
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, message,
                       moe_expert_forward(stream, x, offsets, &several.weights, output, nullptr));
  };
  moe_tensor& second = several.each[1];
  const moe_tensor whole = several.weights, kept = second;
  several.weights.bytes -= 1;
  refused(" descriptors, expected ", y);
  several.weights = whole;
  several.weights.data = nullptr;
  refused("weights is null", y);
  several.weights = whole;
  second.shape[0] = 64;
  refused("weights[1] is packed of shape [64, 256], expected packed of [70, 256]", y);
  second = kept;
  second.layout = MOE_PACKED_EACH;
  refused("weights is packed one by one, which only experts' weights are", y);
  second = kept;
  second.bytes = 3;
  refused("bytes packed, its memory has 3", y);
  second = kept;
  second.data = y.view().data;
  refused("y and weights share memory", y);
  second = kept;
  moe_tensor matrix = several.weights;
  matrix.rank = 2;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "b is packed one by one, which only experts' weights are",
                     moe_gemm(stream, form(0, 1), x, &matrix, other, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "is packed one by one", moe_memory_copy(stream, &several.weights, &whole));
}

TEST_F(BlockGemmTest, RowsArePackedInBlocksOf64) {
  for (const Format& format : kFormats) {
    const int64_t n = 150, k = 256;
    const Tensor b = random_blocks(format, {n, k}, 1), whole = packed(format, b);
    const int64_t row = b.view().bytes / n;
    const auto part = [&](int64_t first, int64_t count) {
      Tensor rows = random_blocks(format, {count, k}, 0);
      std::memcpy(rows.data<uint8_t>(), b.data<uint8_t>() + first * row, static_cast<size_t>(count * row));
      return packed(format, rows).bits();
    };
    std::vector<uint8_t> parts = part(0, 64);
    for (const auto& [first, count] : {std::pair<int64_t, int64_t>{64, 64}, {128, 22}}) {
      const std::vector<uint8_t> next = part(first, count);
      parts.insert(parts.end(), next.begin(), next.end());
    }
    EXPECT_EQ(whole.bits(), parts) << format.name;
  }
}

TEST_F(BlockGemmTest, AddsToCAndTakesATransposed) {
  for (const Format& format : kFormats) {
    const int64_t m = 9, n = 40, k = 256;
    const Tensor a = Tensor::random(MOE_FLOAT32, {m, k}, 1), b = packed(format, random_blocks(format, {n, k}, 2));
    const Tensor c(MOE_FLOAT32, {m, n}), twice = Tensor::random(MOE_FLOAT32, {m, n}, 3), before = slice(twice, 0, m);
    ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, b, c, nullptr));
    ASSERT_MOE_OK(moe_gemm(stream, form(1, 1, 1), transposed(a), b, twice, nullptr));
    for (int64_t i = 0; i < m * n; ++i) {
      ASSERT_EQ(twice[i], static_cast<float>(before[i]) + static_cast<float>(c[i])) << format.name << " at " << i;
    }
  }
}

TEST_F(BlockGemmTest, MultipliesZerosTinyNumbersAndOutliers) {
  const Format format = kFormats[0];
  const int64_t n = 33, k = 96;
  const Tensor blocks = random_blocks(format, {n, k}, 1), numbers = numbers_of(format, blocks), c(MOE_FLOAT32, {4, n});
  Tensor a = Tensor::random(MOE_FLOAT32, {4, k}, 2);
  for (int64_t i = 0; i < k; ++i) {
    a.set(i, 0);
    a.set(k + i, i == 5 ? 1e30 : a[k + i]);
    a.set(2 * k + i, std::numeric_limits<float>::denorm_min());
    a.set(3 * k + i, i % 2 == 0 ? 1e-30 : -1e-30);
  }
  ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, packed(format, blocks), c, nullptr));
  for (int64_t j = 0; j < 2 * n; ++j) EXPECT_EQ(c[j / n * 2 * n + j % n], 0) << j;
  const Tensor one = slice(a, 1, 1), tiny = slice(a, 3, 1);
  expect_near(slice(c, 1, 1), product(multiplied(format, one), false, numbers, true),
              magnitudes(multiplied(format, one), numbers, tolerance(format)), 0, "an outlier");
  expect_near(slice(c, 3, 1), product(multiplied(format, tiny), false, numbers, true), 1e-36, 1e-5, "tiny numbers");
}

TEST_F(BlockGemmTest, NumbersThatAreNotFiniteStaySo) {
  for (const Format& format : kFormats) {
    const int64_t n = 20, k = 512;
    const Tensor b = packed(format, random_blocks(format, {n, k}, 1)), c(MOE_FLOAT32, {3, n});
    Tensor a = Tensor::random(MOE_FLOAT32, {3, k}, 2);
    a.set(40, std::numeric_limits<double>::quiet_NaN());
    a.set(k + 300, std::numeric_limits<double>::infinity());
    ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, b, c, nullptr));
    for (int64_t j = 0; j < 3 * n; ++j) EXPECT_EQ(std::isfinite(c[j]), j >= 2 * n) << format.name << " at " << j;
  }
}

TEST_F(BlockGemmTest, RefusesBlocksThatItCannotRead) {
  const Format format = kFormats[4];
  int64_t bytes = 0;
  const int64_t odd[] = {64, 128}, huge[] = {int64_t{1} << 40, int64_t{1} << 40};
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "whole blocks of 256",
                     moe_gemm_packed_bytes(device, MOE_Q4_K, 2, odd, &bytes));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "overflow", moe_gemm_packed_bytes(device, MOE_Q4_K, 2, huge, &bytes));
  const Tensor a = Tensor::random(MOE_FLOAT32, {2, 256}, 1), blocks = random_blocks(format, {3, 256}, 2);
  const Tensor c(MOE_FLOAT32, {2, 3}), weights = Tensor::random(MOE_FLOAT32, {3, 256}, 3);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "expected it packed", moe_gemm(stream, form(0, 1), a, blocks, c, nullptr));
  Tensor operand = packed(format, blocks);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "weights is float32, expected Q4_K",
                     moe_gemm_pack(stream, weights, operand));
  operand.view().bytes -= 1;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "packed", moe_gemm(stream, form(0, 1), a, operand, c, nullptr));
  Tensor cut = random_blocks(format, {3, 256}, 2);
  cut.view().shape[1] = 128;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "whole blocks of 256", moe_gemm_pack(stream, cut, operand));
  cut.view().shape[1] = 512;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "needs", moe_gemm_pack(stream, cut, operand));
}

}  // namespace
}  // namespace moe::testing
