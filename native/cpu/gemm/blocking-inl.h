// Block sizes: how the five loops around the micro-kernel are cut for the caches.
//
//   for jc = 0 .. N step nc            one task for each (jc, ic), whichever thread takes it
//     for ic = 0 .. M step mc          C: mc x nc float32 sums, in L2
//       for pc = 0 .. K step kc        A: mc x kc packed, in L2
//         for jr = 0 .. nc step nr     B: kc x nr panel, in L1
//           for ir = 0 .. mc step mr   micro-kernel: C[mr x nr] += A[mr x kc] B[kc x nr], sums in registers
//
// BLIS has pc outside ic. Here pc is inside, so that C is rounded once, when all of K is summed. Each block takes a
// fixed share of its cache, after T. Low et al., "Analytical Modeling Is Enough for High-Performance BLIS", TOMS 43
// (2016), 10.1145/2925987. Block sizes never change a bit of C.
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

// The micro-kernels, by the elements of packed A and B and the instruction that multiplies them.
enum class Kernel {
  kFloat,  // A and B float32 (B in blocks is decoded first): a multiply-add for each k
  kWiden,  // A float32, B bfloat16: B is widened in registers
  kDot,    // A and B bfloat16: vdpbf16ps, a dot product of two k
  kAmx,    // A and B bfloat16: tdpbf16ps, 32 k an instruction
  // B in blocks, expanded to one byte per code; A rounded to int8 (block_kernel-inl.h). They differ in the scales of B.
  kBytes,         // one scale per 32 k or more
  kByteMins,      // one scale and one minimum per 32 k
  kByteHalves,    // one scale per 16 k
  kByteHalfMins,  // one scale and one minimum per 16 k
  // The four kernels above with their exact sums in AMX tiles (amx_block_kernel-inl.h).
  kTileBytes,
  kTileByteMins,
  kTileByteHalves,
  kTileByteHalfMins,
};
constexpr bool multiplies_blocks(Kernel kernel) { return kernel >= Kernel::kBytes; }
constexpr bool in_tiles(Kernel kernel) { return kernel == Kernel::kAmx || kernel >= Kernel::kTileBytes; }
// tiled() and untiled() map between the two kernels of a format, which give the same bits.
inline constexpr int kTilesApart = static_cast<int>(Kernel::kTileBytes) - static_cast<int>(Kernel::kBytes);
constexpr Kernel tiled(Kernel kernel) { return static_cast<Kernel>(static_cast<int>(kernel) + kTilesApart); }
constexpr Kernel untiled(Kernel kernel) {
  return kernel < Kernel::kTileBytes ? kernel : static_cast<Kernel>(static_cast<int>(kernel) - kTilesApart);
}
// The kernel of a block format, without tiles; kFloat if it is always decoded.
constexpr Kernel kernel_of(const BlockFormat& format) {
  if (format.e4m3) return Kernel::kFloat;
  const bool halves = format.elements_per_scale < 32;
  if (format.mins) return halves ? Kernel::kByteHalfMins : Kernel::kByteMins;
  return halves ? Kernel::kByteHalves : Kernel::kBytes;
}
// Parts of 32 k with a scale of their own, and scales and minima per 32 k.
constexpr int parts_of(Kernel kernel) { return untiled(kernel) >= Kernel::kByteHalves ? 2 : 1; }
constexpr bool has_mins(Kernel kernel) {
  return untiled(kernel) == Kernel::kByteMins || untiled(kernel) == Kernel::kByteHalfMins;
}
constexpr int scales_of(Kernel kernel) { return parts_of(kernel) * (has_mins(kernel) ? 2 : 1); }
template <Kernel kKernel>
using Weight = std::conditional_t<multiplies_blocks(kKernel), uint8_t,
                                  std::conditional_t<kKernel == Kernel::kFloat, float, hwy::bfloat16_t>>;

// AMX: a tile of A is 16 rows x 32 k, a tile of B 32 k x 16 columns. The bfloat16 kernel keeps 2 x 2 tiles of sums.
inline constexpr int64_t kTileRows = 16, kTileSteps = 32, kAmxMr = 2 * kTileRows;

// Whether B is in blocks that are decoded to float32, one kc x nr panel at a time (expand_blocks-inl.h).
inline bool decodes(const Operand& b) {
  return in_blocks(b.dtype) && (b.exact || kernel_of(*block_format(b.dtype)) == Kernel::kFloat);
}

inline Kernel kernel_of(const Product& product) {
  if (decodes(product.b)) return Kernel::kFloat;
  if (in_blocks(product.b.dtype)) {
    const Kernel kernel = kernel_of(*block_format(product.b.dtype));
    // Fewer than 16 rows leave tiles partly idle. The row count from which tiles win has not been measured.
    return product.rows >= kTileRows && uses(kInt8Tiles) ? tiled(kernel) : kernel;
  }
  if (product.b.dtype != MOE_BFLOAT16) return Kernel::kFloat;
  if (product.a.dtype != MOE_BFLOAT16) return Kernel::kWiden;
  if (uses(kBfloat16Tiles)) return Kernel::kAmx;
  return MOE_NATIVE_DOT ? Kernel::kDot : Kernel::kWiden;
}

inline constexpr int64_t kLanes = hn::MaxLanes(FloatTag());
// mr x nr sums stay in registers: 12 of 16 vector registers, or 24 of 32 with AVX-512. All micro-kernels share nr.
inline constexpr int kMr = HWY_TARGET <= HWY_AVX3 ? 12 : 6;
inline constexpr int64_t kNr = 2 * kLanes;
// With B in blocks, each float32 sum has a register of exact int32 sums next to it: half as many rows fit.
inline constexpr int kBlockMr = kMr / 2;
// Rows of a tile of exact sums that are scaled at once, in registers.
inline constexpr int kFoldRows = 4;
// Rows of a panel of A.
constexpr int64_t panel_rows(Kernel kernel) {
  if (kernel == Kernel::kAmx) return kAmxMr;
  return in_tiles(kernel) ? kTileRows : multiplies_blocks(kernel) ? kBlockMr : kMr;
}

// k of the longest blocks: every format's scales align to it. kc is a multiple of it.
inline constexpr int64_t kBlockSteps = 256;

// Bytes of one column of a packed block: codes, a 16-bit scale (and minimum, or a scale of 32 bits), and factors of its
// parts.
constexpr int64_t packed_block_bytes(const BlockFormat& format) {
  return format.elements * format.bits / 8 + (format.mins || format.e4m3 ? 4 : 2) + format.factors;
}

// Size of a packed panel of B up to k = inner: in bytes for blocks, else in elements. bfloat16 is packed in pairs of k.
constexpr int64_t panel_size(int32_t dtype, int64_t inner) {
  if (in_blocks(dtype)) {
    const BlockFormat& format = *block_format(dtype);
    return kNr * (inner / format.elements * packed_block_bytes(format));
  }
  return kNr * (dtype == MOE_BFLOAT16 ? ceil_div(inner, 2) * 2 : inner);
}
inline int64_t packed_element_bytes(int32_t dtype) { return in_blocks(dtype) ? 1 : dtype_bytes(dtype); }
// panel_size in elements of Weight, the type that the kernel reads; blocks that are decoded count in float32.
template <class Weight>
int64_t panel_elements(int32_t dtype, int64_t inner) {
  return panel_size(dtype, inner) * packed_element_bytes(dtype) / int64_t{sizeof(Weight)};
}

// Bytes of an expanded panel of B in blocks up to k = inner: codes, and float32 scales and minima.
constexpr int64_t expanded_size(Kernel kernel, int64_t inner) {
  return kNr * (inner / 32 * (32 + 4 * scales_of(kernel)));
}

// 32-bit words of a row of packed A per 32 k: eight of codes, scale a, -kMagic a; then for each part of B the sums'
// start value; with minima also the part's scaled sum of the row.
constexpr int64_t block_row_words(Kernel kernel) { return 10 + scales_of(kernel); }

// Exact int32 sums start from the bits of 1.5 x 2^23. Read as float32 they are kMagic + sum, for |sums| < 2^22.
inline constexpr float kMagic = 12582912;

struct Blocking {
  int64_t mc, kc, nc;
  bool rank_k = false;   // K <= kc: a task packs its K x nc of B once and streams C row by row
  bool packs_a = false;  // tasks pack their own mc x kc blocks of A; else all of A is packed first
};

// The independent products of one grouped GEMM, from which block sizes that keep all threads busy follow.
struct Group {
  Group(const Product* products, int64_t count, bool gated, int threads);

  bool gated;  // each column of C needs two columns of B
  int threads;
  int64_t m_threads;   // threads that share one product's rows in tasks that have all its columns
  int64_t panels = 0;  // panels of B, counted once per kMinTaskRows rows
};

inline constexpr int64_t kTasksPerThread = 32;        // so that the threads of a call finish together
inline constexpr int64_t kMinTaskRows = 96;           // rows of a task: with fewer, B is read or packed too often
inline constexpr int64_t kPackingTasksPerThread = 8;  // tasks per thread of a rank-k update whose tasks pack B
// With fewer tasks per thread, rows are cut so that all threads get equally many.
inline constexpr int64_t kFewTasksPerThread = 4;

// nc where no cache decides it, in panels or columns. Measured: docs/results/cpu-gemm-history.md.
inline constexpr int64_t kNcPanels = 4;          // packed B, or B with K adjacent
inline constexpr int64_t kWideNcPanels = 8;      // AMX, or N adjacent: long runs of memory are read faster
inline constexpr int64_t kFewRowsNcPanels = 64;  // N adjacent and few rows of A: only reading B counts
inline constexpr int64_t kFewPanels = 4;         // "few rows": at most 4 panels of A
inline constexpr int64_t kNarrowColumns = 256;   // up to this N, a task has all columns
inline constexpr int64_t kManyRows = 1536;       // from this M on, B that fits in L2 is packed first
inline constexpr int64_t kPackedSteps = 64;      // k of B that a task packs first if N is adjacent

inline Group::Group(const Product* products, int64_t count, bool gated, int threads) : gated(gated), threads(threads) {
  int64_t busy = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (products[i].rows == 0 || products[i].columns == 0) continue;
    ++busy;
    panels += ceil_div(products[i].columns, kNr) * ceil_div(products[i].rows, kMinTaskRows);
  }
  m_threads = std::min<int64_t>(threads, ceil_div(kTasksPerThread * threads, std::max<int64_t>(busy, 1)));
}

inline Blocking blocking_of(const Product& product, Kernel kernel, const Group& group) {
  const bool amx = kernel == Kernel::kAmx;
  const bool blocks = multiplies_blocks(kernel);
  const int64_t mr = panel_rows(kernel);
  const int64_t b_bytes = blocks ? 1 : kernel == Kernel::kFloat ? 4 : 2;
  const int64_t a_bytes = kernel == Kernel::kDot || amx ? 2 : blocks ? 1 : 4;
  const int64_t m_share = product.rows / group.m_threads, half_l2 = l2_bytes() / 2;
  Blocking blocking{mr, 0, (amx ? kWideNcPanels : kNcPanels) * kNr};
  // kc: a panel of B fills half of L1, rounded down to a power of two; panels of A pass through the other half. AMX
  // loads A past L1, so B gets all of L1.
  const int64_t panel_bytes = std::bit_floor(static_cast<uint64_t>(amx ? l1_bytes() : l1_bytes() / 2));
  blocking.kc = panel_bytes / (kNr * b_bytes);
  if (decodes(product.b)) {
    blocking.kc = kBlockSteps;
  } else if (blocks) {
    blocking.kc = std::max(l1_bytes() / 2 / expanded_size(kernel, kBlockSteps), int64_t{1}) * kBlockSteps;
  } else if (!group.gated && product.inner <= (!amx && m_share >= 2 * kMinTaskRows ? 2 : 1) * blocking.kc) {
    // A panel of A stays in L1 and B passes through. Many rows make up for the narrower nc of a longer K.
    blocking.rank_k = true;
    blocking.kc = std::max(blocking.kc, product.inner);
    blocking.nc = half_l2 / (blocking.kc * b_bytes);  // packed B fills half of L2
  } else if (!amx && !group.gated && product.columns <= kNarrowColumns && m_share >= 2 * kMinTaskRows) {
    // Sums are loaded and stored once per kc: a panel of B fills at most two thirds of L1 (a power of two).
    blocking.packs_a = true;
    blocking.kc = std::bit_floor(static_cast<uint64_t>(l1_bytes() / 3 * 2)) / (kNr * b_bytes);
    blocking.nc = kNarrowColumns;
  } else if (!product.b.packed && product.b.k_stride != 1) {
    const bool few = product.rows <= kFewPanels * mr;
    blocking.nc = (few ? kFewRowsNcPanels : kWideNcPanels) * kNr;
    if (few) blocking.kc /= 4;  // alternate packing and multiplying more often, so that memory is never idle
  } else if (!product.b.packed && product.rows * product.inner * a_bytes <= l2_bytes() / 4 * 3 &&
             (!group.gated || product.columns / 2 % kNr == 0)) {
    // A stays in 3/4 of L2 and B streams in address order: one panel per task, or if gated, one of each half.
    // Halves that share a panel would read it twice, hence the condition.
    blocking.nc = group.gated ? 2 * kNr : kNr;
  }
  // At most all of B, or a thread's share of the group's columns.
  const int64_t unit = group.gated ? 2 * kNr : kNr;
  int64_t most = product.columns;
  if (!blocking.packs_a) most = std::min(most, ceil_div(group.panels, group.threads) * kNr);
  blocking.nc = std::clamp(ceil_div(most, unit) * unit, unit, std::max(blocking.nc / unit * unit, unit));
  if (blocking.rank_k) return blocking;
  // mc: a block of A and the sums of C fill half of L2; the B being prefetched has the rest.
  const int64_t row_bytes = blocking.kc * a_bytes + (blocking.nc + kNr) * int64_t{sizeof(float)};
  blocking.mc = std::max(half_l2 / row_bytes / mr * mr, mr);
  if (blocking.packs_a) {
    // Packed B is only read again: smaller blocks of A leave room in L2 for the next one, which is prefetched.
    const int64_t rows = product.b.packed ? std::min(m_share, 2 * kMinTaskRows) : m_share;
    blocking.mc = std::min(blocking.mc, ceil_div(rows, mr) * mr);
  }
  return blocking;
}

// How a product is blocked, and its share of the group's tasks and scratch memory.
struct Plan {
  Plan(const Product& given, const Group& group)
      : product(given),
        kernel(kernel_of(given)),
        packs_b(!given.b.packed && given.rows >= kManyRows &&
                given.columns * given.inner * dtype_bytes(given.b.dtype) <= l2_bytes()) {
    product.b.packed |= packs_b;
    blocking = blocking_of(product, kernel, group);
    const int64_t c_columns = group.gated ? product.columns / 2 : product.columns;
    const int64_t width = group.gated ? blocking.nc / 2 : blocking.nc;
    const int64_t mr = panel_rows(kernel);
    m_panels = c_columns == 0 ? 0 : ceil_div(product.rows, mr);
    n_blocks = product.rows == 0 ? 0 : ceil_div(c_columns, width);
    low = m_panels == 0 ? 0 : product.rows / m_panels;
    high_panels = m_panels == 0 ? 0 : product.rows % m_panels;
    if (in_tiles(kernel)) low = mr, high_panels = 0;
  }

  // Cuts rows into blocks. If the group's column blocks are too few tasks, threads also share the row blocks.
  void share_rows(const Group& group, int64_t group_n_blocks) {
    const int64_t per_thread = blocking.rank_k && !product.b.packed ? kPackingTasksPerThread : kTasksPerThread;
    const int64_t wanted = ceil_div(per_thread * group.threads, std::max<int64_t>(group_n_blocks, 1));
    if (blocking.packs_a) {
      m_blocks = ceil_div(ceil_div(product.rows, blocking.mc), group.m_threads) * group.m_threads;
    } else {
      const int64_t most = std::min(wanted, ceil_div(product.rows, kMinTaskRows));
      m_blocks = std::max(ceil_div(product.rows, blocking.mc), blocking.rank_k ? 0 : most);
      if (m_blocks > 1 && group_n_blocks * m_blocks < kFewTasksPerThread * group.threads) {
        m_blocks = ceil_div(m_blocks, group.m_threads) * group.m_threads;
      }
    }
    m_blocks = std::min(m_blocks, m_panels);
    m_tasks = blocking.rank_k ? std::min(wanted, m_blocks) : m_blocks;
  }

  Product product;  // if packs_b, with the packed B
  Kernel kernel;
  bool packs_b;  // all of B is packed first: it stays in L2, and many rows read it
  Blocking blocking;
  float* packed_a = nullptr;  // all of A, [m_block][pc][panel]; unused if packs_a
  float* packed_b = nullptr;  // all of B, [panel]; only if packs_b
  int64_t m_panels;           // at most mr rows each: high_panels of low + 1 rows, then panels of low rows
  int64_t low, high_panels;
  int64_t n_blocks;      // blocks of nc columns
  int64_t m_blocks = 0;  // blocks of at most mc rows
  int64_t m_tasks = 0;   // tasks that share the m_blocks of a column block
  int64_t first_b_task = 0, first_pack_task = 0, first_task = 0;

  int64_t k_blocks() const { return std::max<int64_t>(ceil_div(product.inner, blocking.kc), 1); }
  int64_t first_m_block(int64_t m_task) const { return m_blocks * m_task / m_tasks; }

  // Heights of panels differ by one row at most, since a low panel takes as long as a full one. Tiles are filled up
  // instead.
  int64_t first_row(int64_t panel) const { return std::min(panel * low + std::min(panel, high_panels), product.rows); }
  // 32-bit words of `steps` k of a row of packed A. AMX packs whole tiles.
  int64_t row_words(int64_t steps) const {
    if (kernel == Kernel::kAmx) return ceil_div(steps, kTileSteps) * kTileSteps / 2;
    if (multiplies_blocks(kernel)) return steps / 32 * block_row_words(kernel);
    return kernel == Kernel::kDot ? ceil_div(steps, 2) : steps;
  }
  int64_t packed_rows(int64_t rows) const { return in_tiles(kernel) ? ceil_div(rows, kTileRows) * kTileRows : rows; }
  int64_t packed_a_words() const { return blocking.packs_a ? 0 : packed_rows(product.rows) * row_words(product.inner); }

  int64_t packed_b_words() const {
    const int64_t elements = ceil_div(product.columns, kNr) * panel_size(product.b.dtype, product.inner);
    return ceil_div(elements * dtype_bytes(product.b.dtype), int64_t{sizeof(float)});
  }

  // Scratch of a task: panels of B, a block of A, and sums [mc, sums_stride]. kLanes more floats follow, because the
  // last vector load of a gated activation may read past the sums.
  int64_t b_bytes() const {
    if (multiplies_blocks(kernel)) return expanded_size(kernel, blocking.kc);
    if (decodes(product.b)) return kNr * blocking.kc * int64_t{sizeof(float)};
    if (product.b.packed) return 0;
    const int64_t panels = blocking.rank_k ? ceil_div(blocking.nc, kNr) : 1;
    const int64_t steps = std::min(blocking.kc, product.inner);
    return ceil_div(panels * panel_size(product.b.dtype, steps) * dtype_bytes(product.b.dtype), 64) * 64;
  }
  int64_t a_words() const { return blocking.packs_a ? blocking.mc * row_words(blocking.kc) : 0; }
  // A gated activation's up half may begin inside a panel and then needs one panel more.
  int64_t sums_stride() const { return blocking.nc + kNr; }
  int64_t scratch_bytes() const {
    return b_bytes() + (a_words() + blocking.mc * sums_stride() + kLanes) * int64_t{sizeof(float)};
  }
};

// Block m_block of the rows of A and C: at most mc rows, in panels.
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

// A block of nc columns of C and the panels of B that it needs. If gated, the gate half's panels come first.
struct ColumnBlock {
  ColumnBlock(const Plan& plan, bool gated, int64_t n_block) {
    const int64_t c_columns = gated ? plan.product.columns / 2 : plan.product.columns;
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
  int64_t width;           // columns from this block's start to the next block's
  int64_t gate_panels, panels, up_panel = 0;
  int64_t up_offset = 0;  // index of the up half in a row of sums
};

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
