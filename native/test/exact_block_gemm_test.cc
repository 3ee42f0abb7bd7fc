// GEMM with weights in blocks and layout MOE_PACKED_EXACT, which rounds no rows: a CPU gives the bits of products with
// decoded weights, a GPU those of MOE_PACKED.
#include <array>
#include <limits>

#include "test/blocks.h"

namespace moe::testing {
namespace {

// Relative to the sum of magnitudes, for float32 sums of up to 1440 products; rounding rows to int8 would cost about
// 1e-3.
constexpr double kTolerance = 1e-6;

class ExactBlockGemmTest : public KernelTest {
 protected:
  Tensor exact(const Format& format, const Tensor& blocks) {
    return packed(device, stream, blocks, format.dtype, MOE_PACKED_EXACT);
  }
  // A product that must have the bits of the product with exact blocks.
  Tensor alike(const Format& format, const Tensor& blocks) {
    if (!on_cpu()) return packed(device, stream, blocks, format.dtype);
    return packed(device, stream, converted(numbers_of(format, blocks), MOE_FLOAT32), MOE_FLOAT32);
  }
};

TEST_F(ExactBlockGemmTest, MatchesFloat64OfRowsThatAreNotRounded) {
  uint64_t seed = 1;
  for (const Format& format : kFormats) {
    for (const auto& [m, n, least] : {std::array<int64_t, 3>{1, 1, 32},
                                      {2, 31, 64},
                                      {7, 65, 288},
                                      {13, 130, 96},
                                      {70, 40, 512},
                                      {9, 70, 1440},
                                      {3, 5, 0},
                                      {0, 5, 32},
                                      {4, 0, 32}}) {
      const int64_t k = (least + format.elements - 1) / format.elements * format.elements;
      for (moe_dtype a_type : {MOE_FLOAT32, MOE_BFLOAT16}) {
        const Tensor a = Tensor::random(a_type, {m, k}, ++seed), b = random_blocks(format, {n, k}, ++seed);
        const Tensor numbers = numbers_of(format, b), c(MOE_FLOAT32, {m, n});
        ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, exact(format, b), c, nullptr));
        expect_near(c, product(a, false, numbers, true), magnitudes(a, numbers, kTolerance), 1e-6, "c");
        if (HasFailure()) FAIL() << format.name << " at m " << m << ", n " << n << ", k " << k;
      }
    }
  }
}

TEST_F(ExactBlockGemmTest, HasTheBitsOfDecodedWeightsOnEveryThread) {
  for (const Format& format : kFormats) {
    const int64_t n = 150, k = 1280;  // several kc of a CPU, stages of a GPU
    const Tensor blocks = random_blocks(format, {n, k}, 1), bias = Tensor::random(MOE_FLOAT32, {n}, 2);
    const Tensor b = exact(format, blocks), decoded = alike(format, blocks);
    const std::vector<int64_t> few = {1, 9}, many = {1, 2, 3, 4, 12, 13, 24, 37, 130, 257};
    for (moe_dtype a_type : {MOE_FLOAT32, MOE_BFLOAT16}) {
      for (int64_t m : emulated() ? few : many) {
        const Tensor a = Tensor::random(a_type, {m, k}, 3);
        const Tensor c(MOE_FLOAT32, {m, n / 2}), other(MOE_FLOAT32, {m, n / 2}), expected(MOE_FLOAT32, {m, n / 2});
        ASSERT_MOE_OK(moe_gemm(single, form(0, 1), a, b, c, Epilogue(MOE_SWIGLU, bias)));
        ASSERT_MOE_OK(moe_gemm(triple, form(0, 1), a, b, other, Epilogue(MOE_SWIGLU, bias)));
        ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, decoded, expected, Epilogue(MOE_SWIGLU, bias)));
        expect_same_bits(c, expected, "decoded");
        expect_same_bits(c, other, "threads");
        if (HasFailure()) FAIL() << format.name << " at m " << m;
      }
    }
  }
}

TEST_F(ExactBlockGemmTest, ARowHasTheSameBitsInEveryBatch) {
  const Format& format = kFormats[4];
  const int64_t n = 70, k = 512, most = emulated() ? 17 : 257;
  const Tensor b = exact(format, random_blocks(format, {n, k}, 1)), a = Tensor::random(MOE_BFLOAT16, {most, k}, 2);
  const Tensor all(MOE_FLOAT32, {most, n});
  ASSERT_MOE_OK(moe_gemm(triple, form(0, 1), a, b, all, nullptr));
  for (int64_t m = 1; m < most; ++m) {
    const Tensor c(MOE_FLOAT32, {m, n});
    ASSERT_MOE_OK(moe_gemm(m % 2 == 0 ? single : triple, form(0, 1), slice(a, 0, m), b, c, nullptr));
    expect_same_bits(slice(all, 0, m), c, "rows");
    if (HasFailure()) FAIL() << "at m " << m;
  }
}

TEST_F(ExactBlockGemmTest, ExpertsMultiplyTheirGroupsAsByDecodedWeights) {
  for (const Format& format : kFormats) {
    const int64_t experts = 5, n = 70, k = 512;
    const std::vector<int32_t> starts = {0, 3, 3, 4, 23, 40};
    const Tensor weights = random_blocks(format, {experts, n, k}, 5), x = Tensor::random(MOE_BFLOAT16, {40, k}, 6);
    const Tensor offsets = Tensor::of(MOE_INT32, {experts + 1}, {starts.begin(), starts.end()});
    const Tensor y(MOE_BFLOAT16, {40, n / 2}), expected(MOE_BFLOAT16, {40, n / 2});
    ASSERT_MOE_OK(moe_expert_forward(triple, x, offsets, exact(format, weights), y, Epilogue(MOE_SWIGLU)));
    ASSERT_MOE_OK(moe_expert_forward(single, x, offsets, alike(format, weights), expected, Epilogue(MOE_SWIGLU)));
    expect_same_bits(y, expected, format.name);
  }
}

// With int8, an outlier takes the whole range and its block loses all other values.
TEST_F(ExactBlockGemmTest, AnOutlierHidesNoNumberBesideIt) {
  for (const Format& format : kFormats) {
    const int64_t n = 33, k = 256;
    const Tensor blocks = random_blocks(format, {n, k}, 1), numbers = numbers_of(format, blocks);
    Tensor a = Tensor::random(MOE_FLOAT32, {3, k}, 2), rest = slice(a, 0, 3);
    for (int64_t i = 0; i < 3 * k; i += 32) a.set(i, 1e4), rest.set(i, 0);
    const Tensor c(MOE_FLOAT32, {3, n}), rounded(MOE_FLOAT32, {3, n});
    ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, exact(format, blocks), c, nullptr));
    ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, packed(device, stream, blocks, format.dtype), rounded, nullptr));
    const std::vector<double> expected = product(a, false, numbers, true), bound = magnitudes(a, numbers, kTolerance);
    expect_near(c, expected, bound, 1e-6, format.name);
    if (!on_cpu() || !rounds_rows(format)) continue;
    double worst = 0;
    for (int64_t i = 0; i < 3 * n; ++i) {
      worst = std::max(worst, std::abs(rounded[i] - expected[static_cast<size_t>(i)]) / bound[static_cast<size_t>(i)]);
    }
    EXPECT_GT(worst, 20) << format.name << ": rounding to int8 is not seen";
  }
}

TEST_F(ExactBlockGemmTest, NumbersThatAreNotFiniteStaySo) {
  for (const Format& format : kFormats) {
    const int64_t n = 20, k = 512;
    const Tensor b = exact(format, random_blocks(format, {n, k}, 1)), c(MOE_FLOAT32, {3, n});
    Tensor a = Tensor::random(MOE_FLOAT32, {3, k}, 2);
    a.set(40, std::numeric_limits<double>::quiet_NaN());
    a.set(k + 300, std::numeric_limits<double>::infinity());
    ASSERT_MOE_OK(moe_gemm(stream, form(0, 1), a, b, c, nullptr));
    for (int64_t j = 0; j < 3 * n; ++j) EXPECT_EQ(std::isfinite(c[j]), j >= 2 * n) << format.name << " at " << j;
  }
}

TEST_F(ExactBlockGemmTest, IsPackedAsOtherBlocksAreAndCopiedToItsLikeOnly) {
  for (const Format& format : kFormats) {
    const Tensor blocks = random_blocks(format, {40, 256}, 1), usual = packed(device, stream, blocks, format.dtype);
    const Tensor b = exact(format, blocks);
    EXPECT_EQ(b.bits(), usual.bits()) << format.name;
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "differ in layout", moe_memory_copy(stream, b, usual));
  }
  Tensor unknown = exact(kFormats[0], random_blocks(kFormats[0], {1, 32}, 1));
  unknown.view().layout = 4;
  const Tensor a = Tensor::random(MOE_FLOAT32, {1, 32}, 1), c(MOE_FLOAT32, {1, 1});
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "b has unknown layout 4",
                     moe_gemm(stream, form(0, 1), a, unknown, c, nullptr));
}

}  // namespace
}  // namespace moe::testing
