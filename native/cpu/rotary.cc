// Rotary position embedding (Su et al., "RoFormer", arXiv 2104.09864, section 3.4.2): each pair (u, v) of a head is
// rotated by an angle of its position.
//
//   y = (u cos - direction v sin, v cos + direction u sin)
//
// x, y [S, H, D]; positions [S]; cosine, sine [P, R / 2]: the first R elements of a head are rotated, the others
// copied. Pairs are (i, i + R / 2) (GPT-NeoX, Llama in Hugging Face's layout), or (2i, 2i + 1) if interleaved (GPT-J).
// direction 1 is the forward, -1 the backward. Bound by bytes.
// Test: panamoe_test --gtest_filter='Rotary*'. Time: attention_bench --only rotary.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/rotary.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/indices.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"
#include "cpu/simd/floating-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

// One head with pairs (i, i + half): the first half holds u, the second half v.
HWY_INLINE void rotate_halves(Floats x, Floats y, const float* cosine, const float* sine, int64_t half, float sign) {
  const FloatTag d;
  for_each_vector(d, 0, half, [&](int64_t i, size_t n) {
    const FloatVector c = load(d, cosine + i, n), s = hn::Mul(load(d, sine + i, n), hn::Set(d, sign));
    const FloatVector real = x.load(d, i, n), imaginary = x.load(d, half + i, n);
    y.store(d, hn::NegMulAdd(imaginary, s, hn::Mul(real, c)), i, n);
    y.store(d, hn::MulAdd(real, s, hn::Mul(imaginary, c)), half + i, n);
  });
}

// One head with pairs (2i, 2i + 1): u and v are adjacent in a vector.
HWY_INLINE void rotate_neighbours(Floats x, Floats y, const float* cosine, const float* sine, int64_t half,
                                  float sign) {
  const FloatTag d;
  const size_t lanes = hn::Lanes(d);
  // Each cosine and each sine twice, for both elements of its pair.
  HWY_ALIGN float cosines[2 * hn::MaxLanes(d)], sines[2 * hn::MaxLanes(d)];
  for_each_vector(d, 0, half, [&](int64_t i, size_t n) {
    const FloatVector c = load(d, cosine + i, n), s = hn::Mul(load(d, sine + i, n), hn::Set(d, sign));
    hn::StoreInterleaved2(c, c, d, cosines);
    hn::StoreInterleaved2(s, s, d, sines);
    for (size_t start = 0; start < 2 * n; start += lanes) {
      const int64_t at = 2 * i + static_cast<int64_t>(start);
      const size_t count = std::min(2 * n - start, lanes);
      const FloatVector pairs = x.load(d, at, count), sine_pairs = hn::Load(d, sines + start);
      const FloatVector signed_sines = hn::OddEven(sine_pairs, hn::Neg(sine_pairs));
      y.store(d, hn::MulAdd(hn::Reverse2(d, pairs), signed_sines, hn::Mul(pairs, hn::Load(d, cosines + start))), at,
              count);
    }
  });
}

void rotate(Stream& stream, Tensor x, const moe_rotary_angles& angles, int direction, Tensor y) {
  const int64_t rows = x.shape[0], heads = x.shape[1], head_size = x.shape[2], half = angles.cosine->shape[1];
  const auto* position = static_cast<const int32_t*>(angles.positions->data);
  const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, heads * head_size));
  parallel_blocks(stream, rows, grain, [&](int64_t begin, int64_t end) {
    const FloatTag d;
    for (int64_t row = begin; row < end; ++row) {
      const float* cosines = static_cast<const float*>(angles.cosine->data) + position[row] * half;
      const float* sines = static_cast<const float*>(angles.sine->data) + position[row] * half;
      for (int64_t head = row * heads; head < (row + 1) * heads; ++head) {
        const Floats from(x, head * head_size), to(y, head * head_size);
        const auto sign = static_cast<float>(direction);
        angles.interleaved == 1 ? rotate_neighbours(from, to, cosines, sines, half, sign)
                                : rotate_halves(from, to, cosines, sines, half, sign);
        if (x.data == y.data) continue;
        for_each_vector(d, 2 * half, head_size, [&](int64_t i, size_t n) { to.store(d, from.load(d, i, n), i, n); });
      }
    }
  });
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {
HWY_EXPORT(rotate);
void rotary(Stream& stream, Tensor x, const moe_rotary_angles& angles, int direction, Tensor y) {
  const moe_tensor positions = checked_indices(stream, "positions", *angles.positions, 0, angles.cosine->shape[0]);
  HWY_DYNAMIC_DISPATCH(rotate)
  (stream, x, {angles.struct_size, angles.interleaved, &positions, angles.cosine, angles.sine}, direction, y);
}
}  // namespace moe::cpu
#endif
