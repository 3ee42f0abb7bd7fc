// Block copies: moves rows between two layouts of the all-to-all (DeepSpeed-MoE, arXiv 2201.05596, section 5.3).
//
//   y[to[i] + r] = x[from[i] + r] for r below rows[i]
//
// Bound by bytes. Threads share the bytes of all blocks evenly, so one large block keeps all of them busy.
// Test: panamoe_test --gtest_filter='Exchange*'.
#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

namespace moe::cpu {

void block_copy(Stream& stream, const moe_blocks& blocks, Tensor x, Tensor y) {
  constexpr int64_t kGrain = 1 << 16;  // bytes that are worth waking a thread for
  const int64_t bytes = row_bytes(x);
  int64_t rows = 0;
  for (int i = 0; i < blocks.count; ++i) rows += blocks.rows[i];
  if (bytes == 0) return;  // empty tensors may have null pointers
  const auto* source = static_cast<const char*>(x.data);
  auto* target = static_cast<char*>(y.data);
  parallel_blocks(stream, rows, kGrain / bytes + 1, [&](int64_t begin, int64_t end) {
    int64_t first = 0;  // first row of block i among the rows of all blocks
    for (int i = 0; i < blocks.count && first < end; first += blocks.rows[i++]) {
      const int64_t low = std::max(begin - first, int64_t{0}), high = std::min(end - first, blocks.rows[i]);
      if (low >= high) continue;
      std::memcpy(target + (blocks.to[i] + low) * bytes, source + (blocks.from[i] + low) * bytes,
                  static_cast<size_t>((high - low) * bytes));
    }
  });
}

}  // namespace moe::cpu
