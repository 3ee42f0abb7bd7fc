// Block sizes: how the five loops around the micro-kernel are cut for the caches.
//
//   for jc = 0 .. N step nc            one task for each (jc, ic), whichever thread takes it
//     for ic = 0 .. M step mc          C: mc x nc float32 sums, in L2
//       for pc = 0 .. K step kc        A: mc x kc packed, in L2
//         for jr = 0 .. nc step nr     B: kc x nr panel, in L1
//           for ir = 0 .. mc step mr   micro-kernel: C[mr x nr] += A[mr x kc] B[kc x nr], sums in registers
//
// BLIS has pc outside ic; here pc is inside, so that C is rounded once, when all of K is summed. Sizes follow T. Low
// et al., "Analytical Modeling Is Enough for High-Performance BLIS", TOMS 43 (2016), 10.1145/2925987: each block takes
// a fixed share of the cache that it has to stay in. They never change a bit of C.
// Tested by panamoe_test --gtest_filter='GemmTest.*:ExpertTest.*'; timed by gemm_bench.
#include "cpu/gemm/product.h"

#if defined(MOE_CPU_GEMM_BLOCKING_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GEMM_BLOCKING_INL_H
#undef MOE_CPU_GEMM_BLOCKING_INL_H
#else
#define MOE_CPU_GEMM_BLOCKING_INL_H
#endif

#include <algorithm>
#include <bit>
#include <type_traits>

#include "core/check.h"
#include "cpu/simd/floating-inl.h"
#include "cpu/simd/instructions-inl.h"
#include "cpu/simd/target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The micro-kernels, by how the elements of packed A and B become products.
enum class Kernel {
  kFloat,  // A and B float32, B in blocks decoded to it: a multiply-add for each k
  kWiden,  // A float32, B bfloat16: B is widened in registers
  kDot,    // A and B bfloat16: vdpbf16ps, a dot product for each two k
  kAmx,    // A and B bfloat16: tdpbf16ps, for each 32 k
  // B in blocks, expanded to a byte a code, and A rounded to int8 (block_kernel-inl.h), by what scales the codes.
  kBytes,       // a scale for each 32 k or more
  kByteMins,    // a scale and a minimum for each 32 k
  kByteHalves,  // a scale for each 16 k
  // The same with their exact sums in tiles (amx_block_kernel-inl.h).
  kTileBytes,
  kTileByteMins,
  kTileByteHalves,
};
constexpr bool multiplies_blocks(Kernel kernel) { return kernel >= Kernel::kBytes; }
constexpr bool in_tiles(Kernel kernel) { return kernel == Kernel::kAmx || kernel >= Kernel::kTileBytes; }
// The kernel for B in blocks with tiles, and the one without that has the same bits.
inline constexpr int kTilesApart = static_cast<int>(Kernel::kTileBytes) - static_cast<int>(Kernel::kBytes);
constexpr Kernel tiled(Kernel kernel) { return static_cast<Kernel>(static_cast<int>(kernel) + kTilesApart); }
constexpr Kernel untiled(Kernel kernel) {
  return kernel < Kernel::kTileBytes ? kernel : static_cast<Kernel>(static_cast<int>(kernel) - kTilesApart);
}
// That for a format, without tiles.
constexpr Kernel kernel_of(const BlockFormat& format) {
  return format.mins ? Kernel::kByteMins : format.scaled < 32 ? Kernel::kByteHalves : Kernel::kBytes;
}
template <Kernel kKernel>
using Weight = std::conditional_t<multiplies_blocks(kKernel), uint8_t,
                                  std::conditional_t<kKernel == Kernel::kFloat, float, hwy::bfloat16_t>>;

// An AMX tile of A is 16 rows by 32 k, one of B 32 k by 16 columns; of bfloat16 two by two tiles of sums stay in
// registers.
inline constexpr int64_t kTileRows = 16, kTileSteps = 32, kAmxMr = 2 * kTileRows;

// Whether B is in blocks that are decoded to float32, a panel of kc at a time (expand_blocks-inl.h).
inline bool decodes(const Operand& b) { return b.exact && in_blocks(b.dtype); }

inline Kernel kernel_of(const Product& product) {
  if (decodes(product.b)) return Kernel::kFloat;
  if (in_blocks(product.b.dtype)) {
    const Kernel kernel = kernel_of(*block_format(product.b.dtype));
    // Fewer rows than a tile has leave some of it idle. From where on tiles are faster has not been measured.
    return product.rows >= kTileRows && uses(kInt8Tiles) ? tiled(kernel) : kernel;
  }
  if (product.b.dtype != MOE_BFLOAT16) return Kernel::kFloat;
  if (product.a.dtype != MOE_BFLOAT16) return Kernel::kWiden;
  if (uses(kBfloat16Tiles)) return Kernel::kAmx;
  return MOE_NATIVE_DOT ? Kernel::kDot : Kernel::kWiden;
}

inline constexpr int64_t kLanes = hn::MaxLanes(FloatTag());
// mr x nr sums stay in registers: 12 vectors of 16, or 24 of 32 with AVX-512. nr is one width for all micro-kernels.
inline constexpr int kMr = HWY_TARGET <= HWY_AVX3 ? 12 : 6;
inline constexpr int64_t kNr = 2 * kLanes;
// With B in blocks, as many registers again hold the exact sums of 32 k.
inline constexpr int kBlockMr = kMr / 2;
// Rows of a tile of exact sums that are scaled in registers at once.
inline constexpr int kFoldRows = 4;
// Rows of a panel of A.
constexpr int64_t panel_rows(Kernel kernel) {
  if (kernel == Kernel::kAmx) return kAmxMr;
  return in_tiles(kernel) ? kTileRows : multiplies_blocks(kernel) ? kBlockMr : kMr;
}

// k between which all scales of B in blocks lie together, of any format; kc is a multiple of it.
inline constexpr int64_t kBlockSteps = 256;

// Bytes of a column of a packed block: codes, a scale and a minimum of 16 bits, and a byte for each factor of these
// where a block has several.
constexpr int64_t packed_block_bytes(const BlockFormat& format) {
  const int64_t parts = format.elements / format.scaled;
  return format.elements * format.bits / 8 + (format.mins ? 2 : 1) * (2 + (parts > 1 ? parts : 0));
}

// Elements of a packed panel of B up to k = inner, for blocks bytes. bfloat16 is packed in pairs of k.
constexpr int64_t panel_size(int32_t dtype, int64_t inner) {
  if (in_blocks(dtype)) {
    const BlockFormat& format = *block_format(dtype);
    return kNr * (inner / format.elements * packed_block_bytes(format));
  }
  return kNr * (dtype == MOE_BFLOAT16 ? ceil_div(inner, 2) * 2 : inner);
}
inline int64_t packed_element_bytes(int32_t dtype) { return in_blocks(dtype) ? 1 : dtype_bytes(dtype); }
// The same in elements of the pointer by which a kernel reads B: blocks that are decoded, in float32.
template <class Weight>
int64_t panel_elements(int32_t dtype, int64_t inner) {
  return panel_size(dtype, inner) * packed_element_bytes(dtype) / int64_t{sizeof(Weight)};
}

// Bytes of a panel of B in blocks up to k = inner, expanded: codes, and one or two float32 a column for each 32 k.
constexpr int64_t expanded_size(Kernel kernel, int64_t inner) {
  return kNr * (inner / 32 * (untiled(kernel) == Kernel::kBytes ? 36 : 40));
}

// 32-bit words of a row of A for each 32 k: eight of codes, two of their scale, what sums begin with, and for
// kByteHalves what the second sums do, for B with minima the sum of the row.
constexpr int64_t block_row_words(Kernel kernel) { return untiled(kernel) == Kernel::kBytes ? 11 : 12; }

// Exact sums begin with the bits of 1.5 x 2^23: as floats they are that number plus the sum, for sums below 2^22.
inline constexpr float kBegin = 12582912;

struct Blocking {
  int64_t mc, kc, nc;
  bool rank_k = false;   // K <= kc: a task packs its K x nc of B once, and sweeps C along its rows
  bool packs_a = false;  // tasks pack their own mc x kc blocks of A; else all of A is packed first
};

// The products of a call as a whole, for sizes that keep all threads busy.
struct Call {
  Call(const Product* products, int64_t count, bool gated, int threads);

  bool gated;  // SwiGLU: N / 2 columns of C need two of B each
  int threads;
  int64_t m_threads;   // that share the rows of a product where each task has all columns
  int64_t panels = 0;  // of B, once for every kMinTaskRows rows
};

inline constexpr int64_t kTasksPerThread = 32;  // wanted, so that the threads of a call end together
inline constexpr int64_t kMinTaskRows = 96;     // of a task: with fewer B is read, or packed, too often

// nc where no cache decides it, in panels and in columns. Measured: docs/results/cpu-gemm-history.md.
inline constexpr int64_t kPanels = 4;           // packed B, or K adjacent
inline constexpr int64_t kWidePanels = 8;       // AMX; N adjacent: long runs of memory are read faster
inline constexpr int64_t kFewRowPanels = 64;    // the same where A has few rows: reading B is all that counts
inline constexpr int64_t kFewPanels = 4;        // panels of A that are few
inline constexpr int64_t kNarrowColumns = 256;  // N up to which one task has all columns

inline Call::Call(const Product* products, int64_t count, bool gated, int threads) : gated(gated), threads(threads) {
  int64_t busy = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (products[i].rows == 0 || products[i].columns == 0) continue;
    ++busy;
    panels += ceil_div(products[i].columns, kNr) * ceil_div(products[i].rows, kMinTaskRows);
  }
  m_threads = std::min<int64_t>(threads, ceil_div(kTasksPerThread * threads, std::max<int64_t>(busy, 1)));
}

inline Blocking blocking_of(const Product& product, Kernel kernel, const Call& call) {
  const bool amx = kernel == Kernel::kAmx;
  const bool blocks = multiplies_blocks(kernel);
  const int64_t mr = panel_rows(kernel);
  const int64_t b_bytes = blocks ? 1 : kernel == Kernel::kFloat ? 4 : 2;
  const int64_t a_bytes = kernel == Kernel::kDot || amx ? 2 : blocks ? 1 : 4;
  const int64_t m_share = product.rows / call.m_threads, half_l2 = l2_bytes() / 2;
  Blocking blocking{mr, 0, (amx ? kWidePanels : kPanels) * kNr};
  // kc: a panel of B fills half of L1, rounded down to a power of two; panels of A pass through the rest. AMX loads A
  // past L1, and leaves all of it to B.
  const int64_t panel_bytes = std::bit_floor(static_cast<uint64_t>(amx ? l1_bytes() : l1_bytes() / 2));
  blocking.kc = panel_bytes / (kNr * b_bytes);
  if (decodes(product.b)) {
    blocking.kc = kBlockSteps;
  } else if (blocks) {
    blocking.kc = std::max(l1_bytes() / 2 / expanded_size(kernel, kBlockSteps), int64_t{1}) * kBlockSteps;
  } else if (!call.gated && product.inner <= blocking.kc) {
    blocking.rank_k = true;
    blocking.nc = half_l2 / (blocking.kc * b_bytes);  // packed B fills half of L2
  } else if (!amx && !call.gated && product.columns <= kNarrowColumns && m_share >= 2 * kMinTaskRows) {
    blocking.packs_a = true;
    blocking.nc = kNarrowColumns;
  } else if (!product.b.packed && product.b.k_stride != 1) {
    const bool few = product.rows <= kFewPanels * mr;
    blocking.nc = (few ? kFewRowPanels : kWidePanels) * kNr;
    if (few) blocking.kc /= 4;  // packing and multiplying alternate more often, and memory does not wait
  } else if (!product.b.packed && product.rows * product.inner * a_bytes <= l2_bytes() / 4 * 3 &&
             (!call.gated || product.columns / 2 % kNr == 0)) {
    // A stays in L2, and B is read in the order of memory: one panel a task, one of each half with SwiGLU. Halves that
    // share a panel would read it twice.
    blocking.nc = call.gated ? 2 * kNr : kNr;
  }
  // At most all of B, or a thread's share of all columns.
  const int64_t unit = call.gated ? 2 * kNr : kNr;
  int64_t most = product.columns;
  if (!blocking.packs_a) most = std::min(most, ceil_div(call.panels, call.threads) * kNr);
  blocking.nc = std::clamp(ceil_div(most, unit) * unit, unit, std::max(blocking.nc / unit * unit, unit));
  if (blocking.rank_k) return blocking;
  // mc: a block of A and the sums of C fill half of L2; B on its way has the rest.
  const int64_t row_bytes = blocking.kc * a_bytes + (blocking.nc + kNr) * int64_t{sizeof(float)};
  blocking.mc = std::max(half_l2 / row_bytes / mr * mr, mr);
  if (blocking.packs_a) blocking.mc = std::min(blocking.mc, ceil_div(m_share, mr) * mr);
  return blocking;
}

// How a product is cut, and its share of the call's tasks and scratch memory.
struct Plan {
  Plan(const Product& product, const Call& call)
      : product(&product), kernel(kernel_of(product)), blocking(blocking_of(product, kernel, call)) {
    const int64_t c_columns = call.gated ? product.columns / 2 : product.columns;
    const int64_t width = call.gated ? blocking.nc / 2 : blocking.nc;
    const int64_t mr = panel_rows(kernel);
    m_panels = c_columns == 0 ? 0 : ceil_div(product.rows, mr);
    n_blocks = product.rows == 0 ? 0 : ceil_div(c_columns, width);
    low = m_panels == 0 ? 0 : product.rows / m_panels;
    high_panels = m_panels == 0 ? 0 : product.rows % m_panels;
    if (in_tiles(kernel)) low = mr, high_panels = 0;
  }

  // Cuts rows into blocks, and shares these out where the call's column blocks alone are too few tasks.
  void share_rows(const Call& call, int64_t call_n_blocks) {
    const int64_t wanted = ceil_div(kTasksPerThread * call.threads, std::max<int64_t>(call_n_blocks, 1));
    if (blocking.packs_a) {
      m_blocks = ceil_div(ceil_div(product->rows, blocking.mc), call.m_threads) * call.m_threads;  // as many for each
    } else {
      const int64_t most = std::min(wanted, ceil_div(product->rows, kMinTaskRows));
      m_blocks = std::max(ceil_div(product->rows, blocking.mc), blocking.rank_k ? 0 : most);
    }
    m_blocks = std::min(m_blocks, m_panels);
    m_tasks = blocking.rank_k ? std::min(wanted, m_blocks) : m_blocks;
  }

  const Product* product;
  Kernel kernel;
  Blocking blocking;
  float* packed_a = nullptr;  // all of A, [m_block][pc][panel], unless tasks pack it
  int64_t m_panels;           // of mr rows at most: the first high_panels of low + 1, the others of low
  int64_t low, high_panels;
  int64_t n_blocks;      // of nc columns
  int64_t m_blocks = 0;  // of mc rows at most
  int64_t m_tasks = 0;   // that share the m_blocks of a column block
  int64_t first_pack_task = 0, first_task = 0;

  int64_t k_blocks() const { return std::max<int64_t>(ceil_div(product->inner, blocking.kc), 1); }
  int64_t first_m_block(int64_t m_task) const { return m_blocks * m_task / m_tasks; }

  // Panels of A differ by one row at most, for a low panel takes as long as a full one; tiles are filled instead.
  int64_t first_row(int64_t panel) const { return std::min(panel * low + std::min(panel, high_panels), product->rows); }
  // 32-bit words of `steps` k of a row of packed A; AMX packs whole tiles.
  int64_t row_words(int64_t steps) const {
    if (kernel == Kernel::kAmx) return ceil_div(steps, kTileSteps) * kTileSteps / 2;
    if (multiplies_blocks(kernel)) return steps / 32 * block_row_words(kernel);
    return kernel == Kernel::kDot ? ceil_div(steps, 2) : steps;
  }
  int64_t packed_rows(int64_t rows) const { return in_tiles(kernel) ? ceil_div(rows, kTileRows) * kTileRows : rows; }
  int64_t packed_a_words() const {
    return blocking.packs_a ? 0 : packed_rows(product->rows) * row_words(product->inner);
  }

  // A task's scratch: panels of B, a block of A, and sums [mc, sums_stride], of which SwiGLU's last load may read
  // less than a vector too much.
  int64_t b_bytes() const {
    if (multiplies_blocks(kernel)) return expanded_size(kernel, blocking.kc);
    if (decodes(product->b)) return kNr * blocking.kc * int64_t{sizeof(float)};
    if (product->b.packed) return 0;
    const int64_t panels = blocking.rank_k ? ceil_div(blocking.nc, kNr) : 1;
    const int64_t steps = std::min(blocking.kc, product->inner);
    return ceil_div(panels * panel_size(product->b.dtype, steps) * dtype_bytes(product->b.dtype), 64) * 64;
  }
  int64_t a_words() const { return blocking.packs_a ? blocking.mc * row_words(blocking.kc) : 0; }
  // The up half of SwiGLU need not begin where a panel does: it may take one panel more.
  int64_t sums_stride() const { return blocking.nc + kNr; }
  int64_t scratch_bytes() const {
    return b_bytes() + (a_words() + blocking.mc * sums_stride() + kLanes) * int64_t{sizeof(float)};
  }
};

// mc rows of A and C: the m_block'th block's panels.
struct RowBlock {
  RowBlock(const Plan& plan, int64_t m_block)
      : plan(plan),
        first(plan.m_panels * m_block / plan.m_blocks),
        panels(plan.m_panels * (m_block + 1) / plan.m_blocks - first) {}

  int64_t row(int64_t panel) const { return plan.first_row(first + panel); }
  int64_t height(int64_t panel) const { return row(panel + 1) - row(panel); }
  int64_t rows() const { return row(panels) - row(0); }

  const Plan& plan;
  int64_t first, panels;
};

// nc columns of C, and the panels of B that they need. For SwiGLU the gate half's panels come before the up half's.
struct ColumnBlock {
  ColumnBlock(const Plan& plan, bool gated, int64_t n_block) {
    const int64_t c_columns = gated ? plan.product->columns / 2 : plan.product->columns;
    width = gated ? plan.blocking.nc / 2 : plan.blocking.nc;
    first = n_block * width;
    columns = std::min(width, c_columns - first);
    gate_panels = panels = ceil_div(columns, kNr);
    if (!gated) return;
    const int64_t up = c_columns + first;
    up_panel = up / kNr;
    up_offset = panels * kNr + up % kNr;
    panels += ceil_div(up + columns, kNr) - up_panel;
  }
  int64_t panel(int64_t p) const { return p < gate_panels ? first / kNr + p : up_panel + p - gate_panels; }

  int64_t first, columns;  // of C
  int64_t width;           // columns from this block to the next
  int64_t gate_panels, panels, up_panel = 0;
  int64_t up_offset = 0;  // where the up half begins in a row of sums
};

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
