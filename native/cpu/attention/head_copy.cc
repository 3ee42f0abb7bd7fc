// Copies columns of heads between tensors, between the products of latent attention (DeepSeek-V2, arXiv 2405.04434,
// section 2.1).
//
//   y[a, b, to + c] = x[a, b, from + c], transposed x[b, a, from + c]
//
// x [A, B, X], transposed [B, A, X]; y [A, B, Y]. Bound by bytes. Test: panamoe_test --gtest_filter='HeadCopy*'.
#include <cstring>

#include "core/check.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

namespace moe::cpu {

void head_copy(Stream& stream, const moe_head_columns& columns, Tensor x, Tensor y) {
  constexpr int64_t kGrain = 1 << 16;  // bytes that are worth waking a thread for
  const int64_t element = dtype_bytes(x.dtype), bytes = columns.count * element;
  if (bytes == 0) return;  // empty tensors may have null pointers
  const int64_t outer = y.shape[0], inner = y.shape[1];
  const auto* source = static_cast<const char*>(x.data) + columns.from * element;
  auto* target = static_cast<char*>(y.data) + columns.to * element;
  parallel_blocks(stream, outer * inner, kGrain / bytes + 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t from = columns.transpose == 1 ? row % inner * outer + row / inner : row;
      std::memcpy(target + row * y.shape[2] * element, source + from * x.shape[2] * element,
                  static_cast<size_t>(bytes));
    }
  });
}

}  // namespace moe::cpu
