// The innermost loops: a panel of rows times panels of columns, sums in registers. Every sum is one chain of fused
// multiply-adds over k = 0, 1, 2, ..., or of dot products of two over its pairs, whichever kernel computes it: that is
// what makes a row's bits independent of the rows beside it.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_KERNEL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_KERNEL_INL_H
#undef MOE_CPU_GEMM_KERNEL_INL_H
#else
#define MOE_CPU_GEMM_KERNEL_INL_H
#endif

#include <algorithm>
#include <array>
#include <type_traits>

#include "cpu/gemm/prefetch-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// How many elements before their use those of a are asked for from the second-level cache, by one panel of b alone.
inline constexpr int64_t kRowsAhead = 256;

// How many bytes before its only use a panel's element is asked for, of all panels side by side: from the L1 cache, and
// from the L2 cache.
inline constexpr int64_t kStreamAhead = 4096;
inline constexpr int64_t kStreamFarAhead = 8192;

// Sums of kRows rows and kPanels panels for one step of k.
template <int kRows, int kPanels>
struct Sums {
  FloatVector v[kRows][2 * kPanels];

  HWY_INLINE void add(const float* a, const FloatVector (&b)[2 * kPanels]) {
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
      const FloatVector scale = hn::Set(FloatTag(), a[row]);
#pragma GCC unroll 4
      for (int j = 0; j < 2 * kPanels; ++j) v[row][j] = hn::MulAdd(scale, b[j], v[row][j]);
    }
  }
};

// Panels of b side by side.
template <class Weight>
struct PanelsOfB {
  const Weight* panel[kMaxSideBySide];
  int64_t stride;  // elements from one step of k to the next: kPanelColumns but for rows of b where they lie
};

// Of lambdas that hold sums by reference: called, they would keep them in memory.
#define MOE_INLINED __attribute__((always_inline))

// turn(i) for i = 0 .. turns - 1, of kRowWords words of a each. Panels side by side come from memory and are used once;
// one alone asks for what `next` says. Turns are not unrolled: the compiler would move sums between registers.
template <int kRowWords, int kPanels, class Weight, class Turn>
HWY_INLINE void for_each_turn(int64_t turns, const float* a, const PanelsOfB<Weight>& b, Prefetch<Weight> next,
                              Turn&& turn) {
  int64_t i = 0;
  for (; kPanels == 1 && i + kTurnsAtOnce <= turns; i += kTurnsAtOnce) {
    next.ask(kTurnsAtOnce);
#pragma GCC unroll 8
    for (int64_t word = 0; word < kTurnsAtOnce * kRowWords; word += 16) {
      __builtin_prefetch(a + i * kRowWords + word + kRowsAhead);
    }
#pragma GCC unroll 1
    for (int64_t t = i; t < i + kTurnsAtOnce; ++t) turn(t);
  }
  for (; i < turns; ++i) {
#pragma GCC unroll 2
    for (int p = 0; kPanels > 1 && p < kPanels; ++p) {
      const char* from = reinterpret_cast<const char*>(b.panel[p]) + i * kTurnBytes + kStreamAhead / kPanels;
      for (int64_t byte = 0; byte < kTurnBytes; byte += 64) {
        next.past_caches ? __builtin_prefetch(from + byte, 0, 0) : __builtin_prefetch(from + byte, 0, 2);
      }
    }
    turn(i);
  }
}

template <int kRows, int kPanels>
HWY_INLINE void accumulate(FloatProducts, int64_t inner, const float* a, const PanelsOfB<float>& b,
                           const Prefetch<float>& next, Sums<kRows, kPanels>& sums) {
  const FloatTag d;
  const int64_t stride = kPanels == 1 ? b.stride : kPanelColumns;
  for_each_turn<kRows, kPanels>(inner, a, b, next, [&](int64_t k) MOE_INLINED {
    FloatVector column[2 * kPanels];
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p) {
      const float* from = b.panel[p] + k * stride;
      column[2 * p] = hn::LoadU(d, from);
      column[2 * p + 1] = hn::LoadU(d, from + kLanes);
    }
    sums.add(a + k * kRows, column);
  });
}

template <int kRows, int kPanels>
HWY_INLINE void accumulate(WidenedProducts, int64_t inner, const float* a, const PanelsOfB<hwy::bfloat16_t>& b,
                           const Prefetch<hwy::bfloat16_t>& next, Sums<kRows, kPanels>& sums) {
  const FloatTag d;
  const hn::RebindToUnsigned<FloatTag> du;
  const auto high = hn::Set(du, 0xffff0000u);
  const auto pair = [&](int64_t k, int column, bool again) {
    const hwy::bfloat16_t* from = b.panel[column / 2] + k * kPanelColumns;
    // Read again: pairs kept in registers would push sums out.
    if (again) asm("" : "+r"(from));
    return hn::LoadU(du, reinterpret_cast<const uint32_t*>(from) + column % 2 * kLanes);
  };
  const auto add_even = [&](int64_t k) MOE_INLINED {
    FloatVector column[2 * kPanels];
#pragma GCC unroll 4
    for (int j = 0; j < 2 * kPanels; ++j) column[j] = hn::BitCast(d, hn::ShiftLeft<16>(pair(k, j, false)));
    sums.add(a + k * kRows, column);
  };
  for_each_turn<2 * kRows, kPanels>(inner / 2, a, b, next, [&](int64_t turn) MOE_INLINED {
    const int64_t k = 2 * turn;
    add_even(k);
    FloatVector column[2 * kPanels];
#pragma GCC unroll 4
    for (int j = 0; j < 2 * kPanels; ++j) column[j] = hn::BitCast(d, hn::And(pair(k, j, true), high));
    sums.add(a + (k + 1) * kRows, column);
  });
  if (inner % 2 != 0) add_even(inner - 1);
}

#if MOE_NATIVE_DOT
using PairVector = hn::Vec<hn::Repartition<hwy::bfloat16_t, FloatTag>>;

// Sums of dot products: pairs(k, column) are the vectors of pairs that step k multiplies.
template <int kRows, int kPanels, class Pairs>
HWY_INLINE void accumulate_pairs(int64_t inner, const float* a, const PanelsOfB<hwy::bfloat16_t>& b,
                                 const Prefetch<hwy::bfloat16_t>& next, Sums<kRows, kPanels>& sums, Pairs&& pairs) {
  const FloatTag d;
  const hn::Repartition<hwy::bfloat16_t, FloatTag> db;
  FloatVector unused = hn::Zero(d);  // where Highway would put half of the sums without the instruction
  for_each_turn<kRows, kPanels>(ceil_div(inner, 2), a, b, next, [&](int64_t turn) MOE_INLINED {
    PairVector column[2 * kPanels];
    pairs(2 * turn, column);
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
      const auto pair = hn::BitCast(db, hn::Set(d, a[turn * kRows + row]));
#pragma GCC unroll 4
      for (int j = 0; j < 2 * kPanels; ++j) {
        sums.v[row][j] = hn::ReorderWidenMulAccumulate(d, pair, column[j], sums.v[row][j], unused);
      }
    }
  });
}

template <int kRows, int kPanels>
HWY_INLINE void accumulate(PairProducts, int64_t inner, const float* a, const PanelsOfB<hwy::bfloat16_t>& b,
                           const Prefetch<hwy::bfloat16_t>& next, Sums<kRows, kPanels>& sums) {
  const hn::Repartition<hwy::bfloat16_t, FloatTag> db;
  accumulate_pairs(inner, a, b, next, sums, [&](int64_t k, PairVector(&column)[2 * kPanels]) {
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p) {
      const hwy::bfloat16_t* from = b.panel[p] + k * kPanelColumns;
      column[2 * p] = hn::LoadU(db, from);
      column[2 * p + 1] = hn::LoadU(db, from + 2 * kLanes);
    }
  });
}

// Two rows make pairs in the order of blocks: of each eight columns the first four are in one vector, the others in the
// other. So are the sums.
template <int kRows>
HWY_INLINE void accumulate(PairRowProducts, int64_t inner, const float* a, const PanelsOfB<hwy::bfloat16_t>& b,
                           const Prefetch<hwy::bfloat16_t>& next, Sums<kRows, 1>& sums) {
  const hn::Repartition<hwy::bfloat16_t, FloatTag> db;
  const hn::RebindToUnsigned<decltype(db)> du;
  accumulate_pairs(inner, a, b, next, sums, [&](int64_t k, PairVector(&column)[2]) {
    const auto* from = reinterpret_cast<const uint16_t*>(b.panel[0] + k * b.stride);
    const auto even = hn::LoadU(du, from), odd = hn::LoadU(du, from + b.stride);
    column[0] = hn::BitCast(db, hn::InterleaveLower(du, even, odd));
    column[1] = hn::BitCast(db, hn::InterleaveUpper(du, even, odd));
  });
}

struct BlockOrder {
  alignas(64) int32_t into[2 * kLanes], out_of[2 * kLanes];
};

// Where in two vectors the columns of a panel lie, and the other way round.
constexpr BlockOrder block_order() {
  BlockOrder order{};
  for (int32_t column = 0; column < 2 * kLanes; ++column) {
    const int32_t place = column % 8 / 4 * static_cast<int32_t>(kLanes) + column / 8 * 4 + column % 4;
    order.out_of[column] = place;
    order.into[place] = column;
  }
  return order;
}

HWY_INLINE void reorder(const int32_t (&order)[2 * kLanes], FloatVector& low, FloatVector& high) {
  const FloatTag d;
  const FloatVector first = hn::TwoTablesLookupLanes(d, low, high, hn::SetTableIndices(d, order));
  high = hn::TwoTablesLookupLanes(d, low, high, hn::SetTableIndices(d, order + kLanes));
  low = first;
}
#endif

// What becomes of complete sums, or of those of a block of k.
enum class Write {
  kStore,
  kAdd,     // to what is there
  kStream,  // past the caches; the target and its rows are aligned to a vector
};

// Where sums [kRows, kPanels * kPanelColumns], float32, come from and go to.
struct Target {
  const float* before;  // the sums of the blocks of k before this one; null in the first
  int64_t before_stride;
  float* sums;
  int64_t stride;
  Write write;
};

// a b and the target's sums before.
template <int kRows, int kPanels, class Products>
HWY_NOINLINE void multiply_panels(int64_t inner, const float* a, const PanelsOfB<typename Products::Weight>& b,
                                  const Prefetch<typename Products::Weight>& next, const Target& target) {
  const FloatTag d;
  Sums<kRows, kPanels> sums;
  const auto each = [&](auto&& body) {
#pragma GCC unroll 16
    for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 4
      for (int j = 0; j < 2 * kPanels; ++j) body(sums.v[row][j], row, j * kLanes);
    }
  };
  if (target.before == nullptr) {
    each([&](FloatVector& v, int, int64_t) { v = hn::Zero(d); });
  } else {
    each([&](FloatVector& v, int row, int64_t j) { v = hn::LoadU(d, target.before + row * target.before_stride + j); });
  }
#if MOE_NATIVE_DOT
  if constexpr (std::is_same_v<Products, PairRowProducts>) {
    static constexpr BlockOrder kOrder = block_order();
    const auto reorder_all = [&](const int32_t(&order)[2 * kLanes]) {
#pragma GCC unroll 16
      for (int row = 0; row < kRows; ++row) reorder(order, sums.v[row][0], sums.v[row][1]);
    };
    if (target.before != nullptr) reorder_all(kOrder.into);
    accumulate(Products(), inner, a, b, next, sums);
    reorder_all(kOrder.out_of);
  } else
#endif
  {
    accumulate<kRows, kPanels>(Products(), inner, a, b, next, sums);
  }
  const auto each_target = [&](auto&& write) {
    each([&](FloatVector v, int row, int64_t j) { write(v, target.sums + row * target.stride + j); });
  };
  switch (target.write) {
    case Write::kStore: return each_target([&](FloatVector v, float* to) { hn::StoreU(v, d, to); });
    case Write::kAdd:
      return each_target([&](FloatVector v, float* to) { hn::StoreU(hn::Add(hn::LoadU(d, to), v), d, to); });
    case Write::kStream: return each_target([&](FloatVector v, float* to) { hn::Stream(v, d, to); });
  }
}

template <class Products>
using PanelKernel = void(int64_t, const float*, const PanelsOfB<typename Products::Weight>&,
                         const Prefetch<typename Products::Weight>&, const Target&);

template <class Products, int... kRowsLessOne>
constexpr std::array<PanelKernel<Products>*, sizeof...(kRowsLessOne)> single_panel_kernels(
    std::integer_sequence<int, kRowsLessOne...>) {
  return {multiply_panels<kRowsLessOne + 1, 1, Products>...};
}

// panels <= side_by_side(rows)
template <class Products>
PanelKernel<Products>* panel_kernel(int64_t rows, int panels) {
  static constexpr auto kSingle = single_panel_kernels<Products>(std::make_integer_sequence<int, kPanelRows>());
  if constexpr (kMaxSideBySide > 1 && !std::is_same_v<Products, PairRowProducts>) {
    if (panels == 2) {
      return rows == 1   ? multiply_panels<1, 2, Products>
             : rows == 2 ? multiply_panels<2, 2, Products>
                         : multiply_panels<3, 2, Products>;
    }
  }
  return kSingle[static_cast<size_t>(rows - 1)];
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
