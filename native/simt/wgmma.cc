// wgmma: products of a warpgroup whose operands are in shared memory, given by descriptors. Layout of operands in
// 128-byte swizzle, and of d over the lanes: PTX ISA, wgmma.mma_async.
#include <bit>
#include <cstring>
#include <stdexcept>

#include "simt/counters.h"
#include "simt/hopper.h"

namespace simt {
namespace {

constexpr int kDepth = 16;  // k of a product
constexpr const char* kWrittenInFlight = "a thread wrote registers of a wgmma in flight";

// An operand given by a descriptor: lines (rows of a, columns of b) by k, or k by lines if transposed.
class Panel {
 public:
  Panel(AsyncProxy& async, uint64_t descriptor, bool transposed)
      : async_(async),
        start_(field(descriptor, 0)),
        leading_(field(descriptor, 16)),
        stride_(field(descriptor, 32)),
        transposed_(transposed) {
    if (descriptor >> 62 != 1) throw std::runtime_error("wgmma of a panel without the 128-byte swizzle");
    if ((descriptor >> 49 & 7) != 0) throw std::runtime_error("wgmma of a panel with a base offset");
    if ((start_ >> 7 & 7) != 0) throw std::runtime_error("wgmma of a panel that begins within the swizzle's period");
  }

  // Reads 8 adjacent elements: from `line` on at `k` if transposed, else from `k` on of `line`.
  void read(int line, int k, uint16_t (&to)[8]) const {
    const int along = transposed_ ? line : k, down = transposed_ ? k : line;
    const uint32_t linear = start_ + static_cast<uint32_t>(along / 64) * leading_ +
                            static_cast<uint32_t>(down / 8) * stride_ + static_cast<uint32_t>(down % 8 * 128) +
                            static_cast<uint32_t>(along % 64 * 2);
    async_.read(linear ^ (linear >> 7 & 7) << 4, to, sizeof(to), "wgmma");
  }

  // The whole operand as float32 [lines, kDepth].
  std::vector<float> values(int first, int lines) const {
    std::vector<float> all(static_cast<size_t>(lines * kDepth));
    uint16_t eight[8];
    const auto put = [&](int line, int k, uint16_t bits) {
      all[static_cast<size_t>(line * kDepth + k)] = std::bit_cast<float>(uint32_t{bits} << 16);
    };
    for (int line = 0; line < lines; line += transposed_ ? 8 : 1) {
      for (int k = 0; k < kDepth; k += transposed_ ? 1 : 8) {
        read(first + line, k, eight);
        for (int i = 0; i < 8; ++i) transposed_ ? put(line + i, k, eight[i]) : put(line, k + i, eight[i]);
      }
    }
    return all;
  }

 private:
  static uint32_t field(uint64_t descriptor, int bit) { return static_cast<uint32_t>(descriptor >> bit & 0x3fff) << 4; }

  AsyncProxy& async_;
  const uint32_t start_, leading_, stride_;
  const bool transposed_;
};

// Whether a lane's registers of a product of `columns` columns are unchanged since wgmma left them.
bool same_bits(const float* d, int columns, const std::vector<float>& left) {
  return left.size() == static_cast<size_t>(columns / 2) && std::memcmp(d, left.data(), left.size() * 4) == 0;
}

// Computes a warp's 16 rows of a product.
void land(AsyncProxy& async, int warp, WarpProducts& products, const WarpProduct& product) {
  const std::vector<float> a = Panel(async, product.a, product.transposed_a).values(warp % 4 * 16, 16);
  const std::vector<float> b = Panel(async, product.b, false).values(0, product.columns);
  for (int lane = 0; lane < kWarp; ++lane) {
    float* d = product.d[static_cast<size_t>(lane)];
    if (!same_bits(d, product.columns, products.left[d])) throw std::runtime_error(kWrittenInFlight);
    for (int i = 0; i < product.columns / 2; ++i) {
      const int row = lane / 4 + i / 2 % 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
      float sum = d[i];
      for (int k = 0; k < kDepth; ++k) {
        sum += a[static_cast<size_t>(row * kDepth + k)] * b[static_cast<size_t>(column * kDepth + k)];
      }
      d[i] = sum;
    }
    products.left[d].assign(d, d + product.columns / 2);
  }
}

void land_groups(AsyncProxy& async, int warp, WarpProducts& products, size_t pending) {
  while (products.groups.size() > pending) {
    const auto landing = static_cast<std::ptrdiff_t>(products.groups.front());
    for (std::ptrdiff_t i = 0; i < landing; ++i) {
      land(async, warp, products, products.issued[static_cast<size_t>(i)]);
    }
    products.issued.erase(products.issued.begin(), products.issued.begin() + landing);
    products.groups.erase(products.groups.begin());
  }
}

// Checks that the warps of a warpgroup issue the same products.
void require_same_product(Warpgroup& group, int warp, uint64_t a, uint64_t b) {
  const size_t number = group.issued[static_cast<size_t>(warp % 4)]++;
  if (number == group.products.size()) group.products.push_back({a, b});
  if (group.products[number] != std::array<uint64_t, 2>{a, b}) {
    throw std::runtime_error("warps of a warpgroup issue wgmma with different descriptors");
  }
}

}  // namespace

void issue_product(Block& block, float* d, int columns, uint64_t a, uint64_t b, bool transposed_a) {
  if constexpr (kCounted) {  // each warp reads its 16 rows, the four of a warpgroup read the columns together
    const size_t read = static_cast<size_t>(16 + columns / 4) * kDepth * sizeof(uint16_t);
    if (block.thread().lane == 0) count_product(64, columns, block.thread().warp % 4 == 0, read);
    return;
  }
  const Thread& thread = block.thread();
  WarpProducts& products = block.async().products(thread.warp);
  std::vector<float>& left = products.left[d];
  if (!same_bits(d, columns, left)) {
    for (const WarpProduct& product : products.issued) {
      if (product.d[static_cast<size_t>(thread.lane)] == d) block.refuse(kWrittenInFlight);
    }
    if (!products.fenced) block.refuse("wgmma of registers that were written since the last wgmma.fence");
    left.assign(d, d + columns / 2);
  }
  struct Registers {
    float* d;
    uint64_t a, b;
  } mine{d, a, b};
  const Deposits& table = block.meet(~0u, &mine, sizeof(mine), "wgmma.mma_async");
  if (thread.lane != 0) return;
  WarpProduct product{a, b, transposed_a, columns, {}};
  for (int lane = 0; lane < kWarp; ++lane) {
    Registers theirs;
    std::memcpy(&theirs, table[lane], sizeof(theirs));
    if (theirs.a != a || theirs.b != b) block.refuse("lanes of a warp issue wgmma with different descriptors");
    product.d[static_cast<size_t>(lane)] = theirs.d;
  }
  require_same_product(block.async().warpgroup(thread.warp), thread.warp, a, b);
  products.issued.push_back(product);
}

void fence_registers(Block& block) {
  if (kCounted) return;
  const char nothing = 0;
  block.meet(~0u, &nothing, 1, "wgmma.fence");
  block.async().products(block.thread().warp).fenced = true;
}

void commit_group(Block& block) {
  if (kCounted) return;
  const char nothing = 0;
  block.meet(~0u, &nothing, 1, "wgmma.commit_group");
  if (block.thread().lane == 0) {
    WarpProducts& products = block.async().products(block.thread().warp);
    size_t committed = 0;
    for (size_t group : products.groups) committed += group;
    products.groups.push_back(products.issued.size() - committed);
    if (block.async().toss()) land_groups(block.async(), block.thread().warp, products, 0);
  }
  block.meet(~0u, &nothing, 1, "wgmma.commit_group");  // no lane's registers go out of scope before
}

void wait_groups(Block& block, size_t pending) {
  if (kCounted) return;
  const char nothing = 0;
  block.meet(~0u, &nothing, 1, "wgmma.wait_group");
  if (block.thread().lane == 0) {
    WarpProducts& products = block.async().products(block.thread().warp);
    land_groups(block.async(), block.thread().warp, products, pending);
    products.fenced = false;
  }
  block.meet(~0u, &nothing, 1, "wgmma.wait_group");  // all lanes' registers have been written
}

}  // namespace simt
