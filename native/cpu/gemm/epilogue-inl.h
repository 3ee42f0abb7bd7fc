// What becomes of a block's complete sums: c, by the kernels themselves, or by way of bias and activation.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_EPILOGUE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_EPILOGUE_INL_H
#undef MOE_CPU_GEMM_EPILOGUE_INL_H
#else
#define MOE_CPU_GEMM_EPILOGUE_INL_H
#endif

#include "cpu/gemm/kernel-inl.h"
#include "cpu/gemm/plan-inl.h"
#include "cpu/simd/activation-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Whether c is the sums, or what was there and the sums, and nothing else: then the kernels themselves write it, but
// for those of tiles, which cannot write past the caches.
inline bool is_sums(const Product& product, const Epilogue& epilogue) {
  constexpr int64_t kVectorBytes = kLanes * int64_t{sizeof(float)};
  return (epilogue.accumulate || epilogue.leaves_caches) && epilogue.activation.kind == MOE_IDENTITY &&
         epilogue.bias == nullptr && epilogue.preactivation == nullptr && epilogue.c->dtype == MOE_FLOAT32 &&
         product.columns % kPanelColumns == 0 && reinterpret_cast<uintptr_t>(epilogue.c->data) % kVectorBytes == 0;
}

// Has the kernels write sums from element (row, column) on to a c that is sums.
inline void aim_at_c(const Plan& plan, const Epilogue& epilogue, int64_t row, int64_t column, Target& target) {
  target.stride = plan.product->columns;
  target.sums = static_cast<float*>(epilogue.c->data) + (plan.product->c_row + row) * target.stride + column;
  target.write = epilogue.accumulate ? Write::kAdd : Write::kStream;
}

// How many panels of columns before its own c is asked for where the kernels write it.
inline constexpr int64_t kPanelsAhead = 3;

// Asks for the elements of c that a panel of rows and one of columns are about to be written to.
HWY_INLINE void prefetch_c(const Plan& plan, const Epilogue& epilogue, int64_t row, int64_t height, int64_t column) {
  const int64_t bytes = epilogue.c->dtype == MOE_BFLOAT16 ? 2 : 4, columns = plan.product->columns;
  const char* from =
      static_cast<const char*>(epilogue.c->data) + ((plan.product->c_row + row) * columns + column) * bytes;
  for (; height > 0; --height, from += columns * bytes) {
    for (int64_t line = 0; line < kPanelColumns * bytes; line += 64) __builtin_prefetch(from + line, 1, 2);
  }
}

// Takes a block's rows from the tile to a c that is sums.
inline void move_sums(const Plan& plan, const Epilogue& epilogue, const Strip& strip, const Block& block,
                      const float* tile) {
  const FloatTag d;
  const int64_t columns = plan.product->columns;
  float* c =
      static_cast<float*>(epilogue.c->data) + (plan.product->c_row + block.row[0]) * columns + strip.first_column;
  for (int64_t row = block.row[0]; row < block.row[block.panels]; ++row, tile += plan.tile_stride(), c += columns) {
    for (int64_t j = 0; j < strip.columns; j += kLanes) {
      const FloatVector sums = hn::LoadU(d, tile + j);
      epilogue.accumulate ? hn::Store(hn::Add(hn::Load(d, c + j), sums), d, c + j) : hn::Stream(sums, d, c + j);
    }
  }
}

// Rounds a block's rows from the tile to c.
template <class Activation>
void finish_strip(const Plan& plan, const Epilogue& epilogue, const Strip& strip, const Block& block, const float* tile,
                  const Activation& activation) {
  const FloatTag d;
  const Product& product = *plan.product;
  const int64_t c_columns = Activation::kGated ? product.columns / 2 : product.columns;
  const float* bias = epilogue.bias == nullptr
                          ? nullptr
                          : static_cast<const float*>(epilogue.bias->data) + product.bias_row * product.columns;
  for (int64_t row = block.row[0]; row < block.row[block.panels]; ++row, tile += plan.tile_stride()) {
    const int64_t c_row = product.c_row + row;
    const Floats c(*epilogue.c, c_row * c_columns);
    // a b + bias of column `column`, whose sums lie at `offset` in the tile; saved for the backward on the way
    const auto preactivation = [&](int64_t offset, int64_t column, size_t n) {
      FloatVector v = hn::LoadU(d, tile + offset);
      if (bias != nullptr) v = hn::Add(v, load(d, bias + column, n));
      if (epilogue.preactivation != nullptr) {
        Floats(*epilogue.preactivation, c_row * product.columns).store(d, v, column, n);
      }
      return v;
    };
    for_each_vector(d, 0, strip.columns, [&](int64_t j, size_t n) {
      const int64_t column = strip.first_column + j;
      FloatVector v = preactivation(j, column, n);
      if constexpr (Activation::kGated) {
        v = activation.value(d, v, preactivation(strip.up_offset + j, c_columns + column, n));
      } else {
        v = activation.value(d, v);
      }
      if (epilogue.accumulate) v = hn::Add(c.load(d, column, n), v);
      c.store(d, v, column, n);
    });
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
