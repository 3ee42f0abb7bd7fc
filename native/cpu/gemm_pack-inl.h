// Packing: operands rearranged into the order in which the GEMM kernels read them.
//
// a, always float32: panels of up to kPanelRows rows, each [inner][rows of the panel].
// b: panels of kPanelColumns columns, the last one filled up with zeros. float32: [inner][kPanelColumns].
// bfloat16: pairs of k, [ceil(inner / 2)][kPanelColumns][2], so that one shift and one mask widen two steps of k.
#include "cpu/gemm_operand.h"

#if defined(MOE_CPU_GEMM_PACK_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_PACK_INL_H
#undef MOE_CPU_GEMM_PACK_INL_H
#else
#define MOE_CPU_GEMM_PACK_INL_H
#endif

#include <algorithm>
#include <bit>

#include "cpu/floating-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

inline constexpr int64_t kLanes = hn::MaxLanes(FloatTag());
// Sums of kPanelRows x kPanelColumns stay in registers: 12 of 16, or 24 of 32 with AVX-512.
inline constexpr int kPanelRows = HWY_TARGET <= HWY_AVX3 ? 12 : 6;
inline constexpr int64_t kPanelColumns = 2 * kLanes;

inline int64_t row_panels(int64_t rows) { return ceil_div(rows, kPanelRows); }
// First row of a panel. Panels are of equal height but for one row, because a low panel costs as much as a full one.
inline int64_t panel_row(int64_t rows, int64_t panels, int64_t panel) { return rows * panel / panels; }

// Elements from one panel of b to the next.
inline int64_t panel_size(int32_t dtype, int64_t inner) {
  return kPanelColumns * (dtype == MOE_BFLOAT16 ? (inner + 1) / 2 * 2 : inner);
}

HWY_INLINE float to_float(float value) { return value; }
HWY_INLINE float to_float(hwy::bfloat16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(std::bit_cast<uint16_t>(value)) << 16);
}

// body(pointer to the operand's elements)
template <class Body>
HWY_INLINE void with_elements(const Operand& operand, Body&& body) {
  operand.dtype == MOE_BFLOAT16 ? body(static_cast<const hwy::bfloat16_t*>(operand.data))
                                : body(static_cast<const float*>(operand.data));
}

// to[k * height + line] = a(line, k)
inline void pack_rows(const Operand& a, int64_t height, int64_t inner, float* to) {
  with_elements(a, [&](const auto* from) {
    for (int64_t k = 0; k < inner; ++k) {
      for (int64_t line = 0; line < height; ++line) {
        to[k * height + line] = to_float(from[line * a.line_stride + k * a.inner_stride]);
      }
    }
  });
}

// A panel of `width` columns of b.
inline void pack_columns(const Operand& b, int64_t width, int64_t inner, float* to) {
  with_elements(b, [&](const auto* from) {
    for (int64_t k = 0; k < inner; ++k) {
      for (int64_t column = 0; column < kPanelColumns; ++column) {
        to[k * kPanelColumns + column] =
            column < width ? to_float(from[column * b.line_stride + k * b.inner_stride]) : 0.0f;
      }
    }
  });
}
inline void pack_columns(const Operand& b, int64_t width, int64_t inner, hwy::bfloat16_t* to) {
  const hn::CappedTag<float, 1> d;
  with_elements(b, [&](const auto* from) {
    for (int64_t k = 0; k < panel_size(MOE_BFLOAT16, inner) / kPanelColumns; ++k) {
      for (int64_t column = 0; column < kPanelColumns; ++column) {
        const float value =
            column < width && k < inner ? to_float(from[column * b.line_stride + k * b.inner_stride]) : 0.0f;
        store(d, hn::Set(d, value), to + (k / 2 * kPanelColumns + column) * 2 + k % 2, 1);
      }
    }
  });
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
