// Loads and stores of float32 and bfloat16 memory as vectors of float32. Part of each Highway target.
#if defined(MOE_CPU_FLOATING_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_FLOATING_INL_H
#undef MOE_CPU_FLOATING_INL_H
#else
#define MOE_CPU_FLOATING_INL_H
#endif

#include "hwy/highway.h"
#include "moe/tensor.h"

// 1 if the target sums pairs of bfloat16 products (vdpbf16ps, bfdot). Highway 1.2 has a macro that is wrong for NEON.
#undef MOE_NATIVE_DOT
#if HWY_ARCH_ARM
#define MOE_NATIVE_DOT (HWY_TARGET == HWY_NEON_BF16)
#else
#define MOE_NATIVE_DOT (HWY_TARGET <= HWY_AVX3_ZEN4)
#endif

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using FloatVector = hn::Vec<FloatTag>;

// Loads n lanes from p and sets the others to 0; n is at most the lanes of d.
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const float* p, size_t n) {
  return n == hn::Lanes(d) ? hn::LoadU(d, p) : hn::LoadN(d, p, n);
}
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const hwy::bfloat16_t* p, size_t n) {
  const hn::Rebind<hwy::bfloat16_t, D> half;
  return hn::PromoteTo(d, n == hn::Lanes(d) ? hn::LoadU(half, p) : hn::LoadN(half, p, n));
}

template <class D>
HWY_INLINE void store(D d, hn::Vec<D> v, float* p, size_t n) {
  n == hn::Lanes(d) ? hn::StoreU(v, d, p) : hn::StoreN(v, d, p, n);
}
// Rounds to nearest even; NaN becomes quiet. In integer arithmetic, because vcvtneps2bf16 flushes subnormals to 0 and
// bits would depend on the processor.
template <class D>
HWY_INLINE void store(D d, hn::Vec<D> v, hwy::bfloat16_t* p, size_t n) {
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<uint16_t, D> dh;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fff)));
  const auto quiet = hn::Or(bits, hn::Set(du, 0x400000));
  const auto chosen = hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(v)), quiet, rounded);
  const auto half = hn::TruncateTo(dh, hn::ShiftRight<16>(chosen));
  auto* target = reinterpret_cast<uint16_t*>(p);
  n == hn::Lanes(d) ? hn::StoreU(half, dh, target) : hn::StoreN(half, dh, target, n);
}

// Calls body(i, n) for every vector of [begin, end): n lanes from element i on, fewer in the last one.
template <class D, typename Body>
HWY_INLINE void for_each_vector(D d, int64_t begin, int64_t end, Body&& body) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes) body(i, hn::Lanes(d));
  if (i < end) body(i, static_cast<size_t>(end - i));
}

// The elements of a floating tensor from `start` on. The branch on the dtype is hoisted out of loops, or predicted.
class Floats {
 public:
  explicit Floats(const moe_tensor& tensor, int64_t start = 0)
      : half_(tensor.dtype == MOE_BFLOAT16), data_(static_cast<char*>(tensor.data) + start * (half_ ? 2 : 4)) {}
  explicit Floats(float* data) : half_(false), data_(reinterpret_cast<char*>(data)) {}

  template <class D>
  HWY_INLINE hn::Vec<D> load(D d, int64_t i, size_t n) const {
    return half_ ? HWY_NAMESPACE::load(d, reinterpret_cast<const hwy::bfloat16_t*>(data_) + i, n)
                 : HWY_NAMESPACE::load(d, reinterpret_cast<const float*>(data_) + i, n);
  }
  template <class D>
  HWY_INLINE void store(D d, hn::Vec<D> v, int64_t i, size_t n) const {
    half_ ? HWY_NAMESPACE::store(d, v, reinterpret_cast<hwy::bfloat16_t*>(data_) + i, n)
          : HWY_NAMESPACE::store(d, v, reinterpret_cast<float*>(data_) + i, n);
  }
  // Asks for the cache lines of n elements from the i-th on.
  HWY_INLINE void prefetch(int64_t i, int64_t n) const {
    const int64_t size = half_ ? 2 : 4;
    for (int64_t byte = i * size; byte < (i + n) * size; byte += 64) __builtin_prefetch(data_ + byte);
  }
  // The elements, or null if they are bfloat16.
  const float* as_float32() const { return half_ ? nullptr : reinterpret_cast<const float*>(data_); }
  // Their bits, or null if they are float32.
  const uint16_t* as_bfloat16() const { return half_ ? reinterpret_cast<const uint16_t*>(data_) : nullptr; }

 private:
  bool half_;
  char* data_;
};

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
