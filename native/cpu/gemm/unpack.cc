// Products by packed weights that are not transposed: C [M, K] = A [M, N] W, where W [N, K] is packed as the operand of
// x W^T. It is the gradient of the input of a layer whose weights are frozen.
//
// Packed panels hold rows of W, and a product by W needs panels of its columns. So a range of columns is first unpacked
// to row-major memory, blocks decoded to float32, and multiplied like any other B: C has the bits of a product by
// row-major weights. A range has all rows of W, so that no sum is cut.
//
//            k .. k + 256                     scratch: 8 MiB a thread, or 256 columns of a matrix
//   panel 0  [256][nr] of packed W, decoded   [nr][width]   a task: all of a panel's columns in the range,
//   panel 1  ...                        --->  [nr][width]   256 at a time, transposed in L1
//
// Tested by panamoe_test --gtest_filter='UnpackedGemmTest.*'; timed by gemm_bench --only input.
#include <algorithm>

#include "cpu/gemm/product.h"
#include "cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/gemm/unpack.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/gemm/expand_blocks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace {

// Scratch memory per thread, in words, for two threads at least. Each range packs A again, and less stays in L3.
constexpr int64_t kScratchWords = int64_t{1} << 21;

// to[i * stride + j] = from[j * nr + i] for `rows` rows i of `words` 32-bit words j. Eight rows at a time, because rows
// a power of two apart map to few sets of L1.
void transpose_to_rows(const uint32_t* from, int64_t rows, int64_t words, uint32_t* to, int64_t stride) {
  const hn::CappedTag<uint32_t, 8> d;
  const hn::CappedTag<uint32_t, 4> block;
  constexpr int64_t kLines = hn::MaxLanes(d);
  for (int64_t i = 0; i < rows; i += kLines) {
    int64_t j = 0;
    for (; i + kLines <= rows && j + 4 <= words; j += 4) {
      const uint32_t* corner = from + j * kNr + i;
      auto v0 = hn::LoadU(d, corner), v1 = hn::LoadU(d, corner + kNr);
      auto v2 = hn::LoadU(d, corner + 2 * kNr), v3 = hn::LoadU(d, corner + 3 * kNr);
      transpose_4x4(d, v0, v1, v2, v3);
      // Block b of v_l is row 4 b + l.
      const auto put = [&](auto v, int64_t l) {
        uint32_t* target = to + (i + l) * stride + j;
#if HWY_CAP_GE256
        hn::StoreU(hn::LowerHalf(block, v), block, target);
        hn::StoreU(hn::UpperHalf(block, v), block, target + 4 * stride);
#else
        hn::StoreU(v, block, target);
#endif
      };
      put(v0, 0);
      put(v1, 1);
      put(v2, 2);
      put(v3, 3);
    }
    for (; j < words; ++j) {
      for (int64_t row = i; row < std::min(i + kLines, rows); ++row) to[row * stride + j] = from[j * kNr + row];
    }
  }
}

// Unpacks `rows` rows of a panel of packed weights [.., inner], from column k on: `steps` columns to rows of `stride`
// words. k and all steps but the last ones are multiples of kBlockSteps.
void unpack_panel(const Operand& weights, int64_t inner, int64_t panel, int64_t rows, int64_t k, int64_t steps,
                  uint32_t* to, int64_t stride) {
  const int64_t size = panel_size(weights.dtype, inner), bytes = packed_element_bytes(weights.dtype);
  const int64_t words_of_pair = weights.dtype == MOE_BFLOAT16 ? 1 : 2;
  alignas(64) float decoded[kBlockSteps * kNr];
  for (const int64_t end = k + steps; k < end; k += kBlockSteps, to += kBlockSteps / 2 * words_of_pair) {
    const int64_t some = std::min(kBlockSteps, end - k);
    const auto* from =
        static_cast<const uint8_t*>(weights.data) + (panel * size + panel_size(weights.dtype, k)) * bytes;
    const auto* words = reinterpret_cast<const uint32_t*>(from);
    if (in_blocks(weights.dtype)) {
      decode_panel(weights.dtype, from, some, decoded);
      words = reinterpret_cast<const uint32_t*>(decoded);
    }
    transpose_to_rows(words, rows, ceil_div(some * words_of_pair, 2), to, stride);
  }
}

// Computes up to `width` columns of C from `column` on.
void run_columns(Stream& stream, const Product* products, int64_t count, int64_t column, int64_t width,
                 const Epilogue& epilogue) {
  const Arena::Frame frame(stream.arena());
  const int64_t inner = products[0].inner, panels = ceil_div(inner, kNr);
  const int64_t columns = std::min(width, products[0].columns - column);
  auto* parts = stream.arena().take<Product>(count);
  auto* memory = stream.arena().take<uint32_t>(count * inner * width);
  for (int64_t i = 0; i < count; ++i) {
    const int32_t dtype = products[i].b.dtype == MOE_BFLOAT16 ? MOE_BFLOAT16 : MOE_FLOAT32;
    parts[i] = products[i];
    parts[i].columns = columns;
    parts[i].b = {memory + i * inner * width, dtype, false, 1, width};
  }
  constexpr int64_t kPerNanosecond = 1;  // elements that one thread unpacks
  parallel_tasks(stream, count * panels, count * inner * columns / kPerNanosecond, [&](int64_t task, int) {
    const int64_t panel = task % panels, row = panel * kNr;
    const Operand& to = parts[task / panels].b;
    const int64_t stride = to.dtype == MOE_BFLOAT16 ? width / 2 : width;
    unpack_panel(products[task / panels].b, products[0].columns, panel, std::min(kNr, inner - row), column, columns,
                 static_cast<uint32_t*>(const_cast<void*>(to.data)) + row * stride, stride);
  });
  moe_tensor c = *epilogue.c;
  c.data = static_cast<char*>(c.data) + column * dtype_bytes(c.dtype);
  Epilogue part = epilogue;
  part.c = &c;
  run_products(stream, parts, count, part);
}

void run_unpacked_kernel(Stream& stream, const Product* products, int64_t count, const Epilogue& epilogue) {
  auto* used = stream.arena().take<Product>(count);  // weights of groups without rows stay packed
  const int64_t used_count =
      std::copy_if(products, products + count, used, [](const Product& product) { return product.rows > 0; }) - used;
  if (used_count == 0) return;
  const int64_t columns = used[0].columns, inner = std::max<int64_t>(used[0].inner, 1);
  const int64_t words = kScratchWords * std::max(threads_of(stream), 2), ranges = ceil_div(columns, kBlockSteps);
  const int64_t width =
      kBlockSteps * std::clamp<int64_t>(words / (inner * kBlockSteps), 1, std::max<int64_t>(ranges, 1));
  const int64_t at_once = std::max<int64_t>(words / (inner * width), 1);
  for (int64_t first = 0; first < used_count; first += at_once) {
    for (int64_t column = 0; column < columns; column += width) {
      run_columns(stream, used + first, std::min(at_once, used_count - first), column, width, epilogue);
    }
  }
}

}  // namespace
}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {

HWY_EXPORT(run_unpacked_kernel);

void run_unpacked_products(Stream& stream, const Product* products, int64_t count, const Epilogue& epilogue) {
  HWY_DYNAMIC_DISPATCH(run_unpacked_kernel)(stream, products, count, epilogue);
}

}  // namespace moe::cpu
#endif
