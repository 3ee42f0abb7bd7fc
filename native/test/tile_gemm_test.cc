// Products of weights in blocks by emulated tiles (Intel AMX): the GEMM is compiled here once more, for AVX-512, and
// must give the bits that it gives without tiles.
#include "test/emulated_tiles.h"  // first: it takes the names of intrinsics

// One target that may have tiles, and the compiler's own.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX2 | HWY_AVX3_DL | HWY_AVX3_ZEN4 | HWY_AVX3_SPR)
#include "core/device.h"
#include "cpu/cpu_stream.h"
#include "cpu/gemm/driver.cc"
#include "test/blocks.h"

namespace moe::cpu {

// Replaces the GEMM's query of the processor.
namespace {
bool g_tiles = false;
}
bool uses(Instruction instruction) { return g_tiles && instruction == Instruction::kInt8Tiles; }
int64_t l1_bytes() { return 49152; }
int64_t l2_bytes() { return 1 << 20; }

}  // namespace moe::cpu

namespace moe::testing {
namespace {

namespace avx512 = cpu::N_AVX3;
using cpu::Operand;

// Weights [N, K] packed for the GEMM.
std::vector<uint8_t> packed_panels(const Format& format, const Tensor& blocks) {
  const int64_t n = blocks.view().shape[0], k = blocks.view().shape[1], size = avx512::panel_size(format.dtype, k);
  const int64_t stride = k / format.elements * format.bytes;
  std::vector<uint8_t> panels(static_cast<size_t>(ceil_div(n, avx512::kNr) * size));
  for (int64_t column = 0; column < n; column += avx512::kNr) {
    with_block_dtype(format.dtype, [&](auto dtype) {
      for (int64_t first = 0; first < k; first += avx512::kBlockSteps) {
        avx512::pack_blocks<dtype.value>(
            blocks.data<uint8_t>() + column * stride + first / format.elements * format.bytes, stride,
            std::min(avx512::kNr, n - column), std::min(avx512::kBlockSteps, k - first),
            panels.data() + column / avx512::kNr * size + avx512::panel_size(format.dtype, first));
      }
    });
  }
  return panels;
}

// Scratch memory for a stream.
class ScratchDevice final : public Device {
 public:
  void* allocate(int64_t bytes) override { return std::aligned_alloc(64, static_cast<size_t>(bytes + 63) / 64 * 64); }
  void free(void* memory) override { std::free(memory); }
  const Kernels& kernels() const override { std::abort(); }
  void describe(moe_device_info&) const override {}
  int default_threads() const override { return 1; }
  std::shared_ptr<Stream> create_stream(std::shared_ptr<Device>, int) override { return nullptr; }
  void trim() override {}
  moe_memory_usage memory_usage() const override { return {}; }
  void install(const moe_runtime_kernel&, const void*, int64_t) override {}
};

class TileGemmTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if ((hwy::SupportedTargets() & HWY_AVX3) == 0) GTEST_SKIP() << "no AVX-512";
  }

  // c = swiglu(a b) or c += a b, with tiles on two threads or without on one.
  void multiply(const Operand& a, const Operand& b, const Tensor& c, bool gated, bool tiles) {
    const moe_tensor& shape = c.view();
    const int64_t columns = shape.shape[1] * (gated ? 2 : 1);
    const cpu::Product product{.rows = shape.shape[0], .columns = columns, .inner = inner, .a = a, .b = b};
    cpu::Epilogue epilogue{.accumulate = !gated, .c = &shape};
    if (gated) epilogue.activation.kind = MOE_SWIGLU;
    cpu::g_tiles = tiles;
    avx512::run_products_kernel(tiles ? pair : single, &product, 1, epilogue);
    cpu::g_tiles = false;
  }

  const std::shared_ptr<Device> device = std::make_shared<ScratchDevice>();
  cpu::CpuStream single{device, 1}, pair{device, 2};
  int64_t inner = 0;
};

TEST_F(TileGemmTest, GivesTheBitsOfVectors) {
  for (const Format& format : kFormats) {
    for (const int64_t m : {15, 16, 17, 47, 257}) {
      for (const int64_t n : {40, 134}) {
        inner = m == 257 || n == 134 ? 256 : format.elements * (m == 47 ? 35 : 5);
        const Tensor blocks = random_blocks(format, {n, inner}, 1);
        const std::vector<uint8_t> panels = packed_panels(format, blocks);
        const Operand b{panels.data(), format.dtype, true, 0, 0};
        for (const moe_dtype type : {MOE_FLOAT32, MOE_BFLOAT16}) {
          const Tensor a = Tensor::random(type, {m, inner}, 2);
          for (const bool gated : {false, true}) {
            const bool transposed = gated && m == 17;
            const Operand rows{a.view().data, type, false, transposed ? 1 : inner, transposed ? m : 1};
            const Tensor c = Tensor::random(MOE_FLOAT32, {m, gated ? n / 2 : n}, 3), tiled = slice(c, 0, m);
            const int64_t before = tiles::products.load();
            multiply(rows, b, c, gated, false);
            ASSERT_EQ(tiles::products.load(), before);
            multiply(rows, b, tiled, gated, true);
            EXPECT_EQ(tiles::products.load() > before, m >= 16 && rounds_rows(format)) << "tiles of 16 rows";
            expect_same_bits(c, tiled, "tiles");
            if (HasFailure()) FAIL() << format.name << " at m " << m << ", n " << n << ", k " << inner;
          }
        }
      }
    }
  }
}

// Experts with uneven groups of rows are products of one group.
TEST_F(TileGemmTest, ProductsOfOneCallGiveTheBitsOfVectors) {
  for (const Format& format : kFormats) {
    const int64_t n = 70, groups[] = {17, 1, 40};
    inner = 512;
    const std::vector<uint8_t> panels = packed_panels(format, random_blocks(format, {n, inner}, 1));
    const Tensor a = Tensor::random(MOE_BFLOAT16, {58, inner}, 2), c(MOE_FLOAT32, {58, n}), tiled(MOE_FLOAT32, {58, n});
    std::vector<cpu::Product> products;
    int64_t row = 0;
    for (const int64_t rows : groups) {
      products.push_back({.rows = rows,
                          .columns = n,
                          .inner = inner,
                          .a = Operand{a.view().data, MOE_BFLOAT16, false, inner, 1}.at(row, 0),
                          .b = {panels.data(), format.dtype, true, 0, 0},
                          .c_row = row});
      row += rows;
    }
    const moe_tensor plain_view = c.view(), tiled_view = tiled.view();
    avx512::run_products_kernel(single, products.data(), 3, {.c = &plain_view});
    cpu::g_tiles = true;
    avx512::run_products_kernel(pair, products.data(), 3, {.c = &tiled_view});
    cpu::g_tiles = false;
    expect_same_bits(c, tiled, format.name);
  }
}

TEST_F(TileGemmTest, ARowWithANumberThatIsNotFiniteSpoilsNoOther) {
  const Format& format = kFormats[4];
  const int64_t m = 20, n = 40;
  inner = 512;
  const std::vector<uint8_t> panels = packed_panels(format, random_blocks(format, {n, inner}, 1));
  Tensor a = Tensor::random(MOE_FLOAT32, {m, inner}, 2);
  a.set(3 * inner + 300, std::numeric_limits<double>::infinity());
  const Tensor c(MOE_FLOAT32, {m, n});
  multiply({a.view().data, MOE_FLOAT32, false, inner, 1}, {panels.data(), format.dtype, true, 0, 0}, c, false, true);
  for (int64_t i = 0; i < m * n; ++i) EXPECT_EQ(std::isfinite(c[i]), i / n != 3) << i;
}

}  // namespace
}  // namespace moe::testing
