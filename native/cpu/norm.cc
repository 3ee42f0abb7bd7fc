// LayerNorm (Ba et al. 2016, arXiv 1607.06450) and RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467).
//
//   forward   mean = sum(x) / M,  rstd = 1 / sqrt(sum((x - mean)^2) / M + epsilon)
//             n = (x - mean) rstd,  y = n (gamma + gamma_offset) + beta
//   backward  g = dy (gamma + gamma_offset),  dx = rstd (g - mean(g) - n mean(g n)),
//             dgamma += sum_s dy n,  dbeta += sum_s dy
//
// RMSNorm: mean = 0 and mean(g) = 0, no beta. x, y, dy, dx [S, M] float32 or bfloat16; gamma, beta [M] and mean,
// rstd [S] float32. Statistics take two passes over a row.
// Test: panamoe_test --gtest_filter='Norm*'. Time: ./panamoe bench train-step.
#include <cmath>

#include "core/check.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/norm.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/simd/floating-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace {

// Rows whose terms of dgamma and dbeta form one partial sum; fixed, so that results do not depend on the threads.
constexpr int64_t kRowBlock = 64;
constexpr int64_t kGrain = 16384;  // elements that are worth waking a thread for

// The sum over a row of term(column, lanes), in four independent chains, which hide the latency of additions.
template <typename Term>
HWY_INLINE float row_sum(int64_t width, Term&& term) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  FloatVector s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  int64_t i = 0;
  for (; i + 4 * lanes <= width; i += 4 * lanes) {
    s0 = hn::Add(s0, term(i, hn::Lanes(d)));
    s1 = hn::Add(s1, term(i + lanes, hn::Lanes(d)));
    s2 = hn::Add(s2, term(i + 2 * lanes, hn::Lanes(d)));
    s3 = hn::Add(s3, term(i + 3 * lanes, hn::Lanes(d)));
  }
  for_each_vector(d, i, width, [&](int64_t j, size_t n) { s0 = hn::Add(s0, term(j, n)); });
  return hn::ReduceSum(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)));
}

// The sum of (x - mean)^2; lanes past the end of the row add nothing.
HWY_INLINE float square_deviation(const Floats& x, float mean, int64_t width) {
  const FloatTag d;
  const FloatVector m = hn::Set(d, mean);
  return row_sum(width, [&](int64_t i, size_t n) {
    const FloatVector deviation = hn::Sub(x.load(d, i, n), m);
    const FloatVector kept = n == hn::Lanes(d) ? deviation : hn::IfThenElseZero(hn::FirstN(d, n), deviation);
    return hn::Mul(kept, kept);
  });
}

void norm_forward(Stream& stream, bool centered, const moe_norm& norm, Tensor x, Tensor y) {
  const int64_t width = x.shape[1];
  const auto* scale = static_cast<const float*>(norm.gamma->data);
  const auto* shift = centered ? static_cast<const float*>(norm.beta->data) : nullptr;
  parallel_blocks(stream, x.shape[0], kGrain / width + 1, [&](int64_t begin, int64_t end) {
    const FloatTag d;
    for (int64_t s = begin; s < end; ++s) {
      const Floats row(x, s * width), out(y, s * width);
      const float row_mean =
          centered ? row_sum(width, [&](int64_t i, size_t n) { return row.load(d, i, n); }) / width : 0.0f;
      const float row_rstd = 1.0f / std::sqrt(square_deviation(row, row_mean, width) / width + norm.epsilon);
      const FloatVector m = hn::Set(d, row_mean), r = hn::Set(d, row_rstd), offset = hn::Set(d, norm.gamma_offset);
      for_each_vector(d, 0, width, [&](int64_t i, size_t n) {
        const FloatVector normal = hn::Mul(hn::Sub(row.load(d, i, n), m), r);
        const FloatVector g = hn::Add(load(d, scale + i, n), offset);
        out.store(d, shift == nullptr ? hn::Mul(normal, g) : hn::MulAdd(normal, g, load(d, shift + i, n)), i, n);
      });
      if (centered && norm.mean != nullptr) static_cast<float*>(norm.mean->data)[s] = row_mean;
      if (norm.rstd != nullptr) static_cast<float*>(norm.rstd->data)[s] = row_rstd;
    }
  });
}

// RMSNorm if mean is null.
void norm_backward(Stream& stream, const moe_norm& norm, OptionalTensor mean, Tensor x, Tensor dy, Tensor dx,
                   Tensor dgamma, OptionalTensor dbeta) {
  const int64_t rows = x.shape[0], width = x.shape[1], blocks = (rows + kRowBlock - 1) / kRowBlock;
  const auto* scale = static_cast<const float*>(norm.gamma->data);
  float* partial = stream.arena().take<float>(blocks * 2 * width);  // dgamma and dbeta of each block
  parallel_tasks(stream, blocks, rows * width, [&](int64_t block, int) {
    const FloatTag d;
    float* block_dgamma = partial + block * 2 * width;
    float* block_dbeta = block_dgamma + width;
    std::fill(block_dgamma, block_dgamma + 2 * width, 0.0f);
    for (int64_t s = block * kRowBlock; s < std::min(rows, (block + 1) * kRowBlock); ++s) {
      const Floats upstream(dy, s * width), row(x, s * width), out(dx, s * width);
      const float row_mean = mean == nullptr ? 0.0f : static_cast<const float*>(mean->data)[s];
      const FloatVector m = hn::Set(d, row_mean), r = hn::Set(d, static_cast<const float*>(norm.rstd->data)[s]);
      const FloatVector offset = hn::Set(d, norm.gamma_offset);
      const auto normal = [&](int64_t i, size_t n) { return hn::Mul(hn::Sub(row.load(d, i, n), m), r); };
      const auto g = [&](int64_t i, size_t n) {
        return hn::Mul(upstream.load(d, i, n), hn::Add(load(d, scale + i, n), offset));
      };
      const FloatVector g_mean = hn::Set(d, mean == nullptr ? 0.0f : row_sum(width, g) / width);
      const FloatVector gn_mean =
          hn::Set(d, row_sum(width, [&](int64_t i, size_t n) { return hn::Mul(g(i, n), normal(i, n)); }) / width);
      for_each_vector(d, 0, width, [&](int64_t i, size_t n) {
        const FloatVector u = upstream.load(d, i, n), v = normal(i, n);
        store(d, hn::MulAdd(u, v, load(d, block_dgamma + i, n)), block_dgamma + i, n);
        store(d, hn::Add(u, load(d, block_dbeta + i, n)), block_dbeta + i, n);
        out.store(d, hn::Mul(r, hn::NegMulAdd(v, gn_mean, hn::Sub(g(i, n), g_mean))), i, n);
      });
    }
  });
  parallel_blocks(stream, width, kGrain / (blocks + 1) + 1, [&](int64_t begin, int64_t end) {
    const FloatTag d;
    for_each_vector(d, begin, end, [&](int64_t i, size_t n) {
      auto* total = static_cast<float*>(dgamma.data);
      FloatVector g = load(d, total + i, n);
      for (int64_t block = 0; block < blocks; ++block) g = hn::Add(g, load(d, partial + block * 2 * width + i, n));
      store(d, g, total + i, n);
      if (dbeta == nullptr) return;
      total = static_cast<float*>(dbeta->data);
      FloatVector b = load(d, total + i, n);
      for (int64_t block = 0; block < blocks; ++block) {
        b = hn::Add(b, load(d, partial + (block * 2 + 1) * width + i, n));
      }
      store(d, b, total + i, n);
    });
  });
}

}  // namespace
}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {

HWY_EXPORT(norm_forward);
HWY_EXPORT(norm_backward);

void layer_norm_forward(Stream& stream, const moe_norm& norm, Tensor x, Tensor y) {
  HWY_DYNAMIC_DISPATCH(norm_forward)(stream, true, norm, x, y);
}

void layer_norm_backward(Stream& stream, const moe_norm& norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma,
                         Tensor dbeta) {
  HWY_DYNAMIC_DISPATCH(norm_backward)(stream, norm, norm.mean, x, dy, dx, dgamma, &dbeta);
}

void rms_norm_forward(Stream& stream, const moe_norm& norm, Tensor x, Tensor y) {
  HWY_DYNAMIC_DISPATCH(norm_forward)(stream, false, norm, x, y);
}

void rms_norm_backward(Stream& stream, const moe_norm& norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma) {
  HWY_DYNAMIC_DISPATCH(norm_backward)(stream, norm, nullptr, x, dy, dx, dgamma, nullptr);
}

}  // namespace moe::cpu
#endif
