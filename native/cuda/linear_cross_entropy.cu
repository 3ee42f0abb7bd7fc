#include <algorithm>

#include "core/check.h"
#include "cuda/cross_entropy.h"
#include "cuda/kernels.h"

namespace moe::cuda {
namespace {

// Rows a block: many, so that the three GEMMs fill the card, while a block of logits stays within 128 MB or 128 rows.
// The number of classes alone decides, for the order in which dweights is summed must depend on nothing else.
int64_t block_rows(int64_t classes) {
  return std::clamp<int64_t>((int64_t{32} << 20) / classes / 128 * 128, 128, 2048);
}

// A matrix in scratch memory.
moe_tensor matrix_in(void* memory, moe_dtype dtype, int64_t rows, int64_t width) {
  return {sizeof(moe_tensor), dtype, memory, rows * width * dtype_bytes(dtype), 2, MOE_ROW_MAJOR, {rows, width}};
}

}  // namespace

// With weights and hidden in bfloat16, the gradient of the logits is multiplied as the sum of two bfloat16 matrices: on
// tensor cores, where one product of float32 and bfloat16 would be many times slower, and as exact as it.
void linear_cross_entropy(Stream& stream, T hidden, T weights, T targets, float label_smoothing, float dloss, T losses,
                          N dhidden, N dweights) {
  Launch launch(stream);
  const int64_t rows = hidden.shape[0], width = hidden.shape[1], classes = weights.shape[0];
  const int64_t block = std::min(rows, block_rows(classes));
  const bool halves = dhidden != nullptr && hidden.dtype == MOE_BFLOAT16 && weights.dtype == MOE_BFLOAT16;
  const bool rounded = halves && dhidden->dtype == MOE_BFLOAT16;  // only once both halves' products are summed
  launch.stream().keep_checks([targets, classes] { check_range_values("targets", targets, -1, classes); });
  auto* logits_memory = launch.take<float>(block * classes);
  auto* gradient_memory = halves ? launch.take<uint16_t>(2 * block * classes) : nullptr;
  auto* sums = rounded ? launch.take<float>(block * width) : nullptr;
  const auto multiply = [&](bool transpose, bool accumulate, T a, T b, T c) {
    gemm(stream, transpose, false, MOE_IDENTITY, accumulate, a, b, nullptr, c, nullptr);
  };
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t count = std::min(block, rows - begin);
    const moe_tensor logits = matrix_in(logits_memory, MOE_FLOAT32, count, classes);
    const moe_tensor hidden_block = rows_of(hidden, begin, count), targets_block = rows_of(targets, begin, count);
    const moe_tensor losses_block = rows_of(losses, begin, count);
    gemm(stream, false, true, MOE_IDENTITY, false, hidden_block, weights, nullptr, logits, nullptr);
    if (!halves) {
      const moe_tensor* dlogits = dhidden == nullptr ? nullptr : &logits;
      losses_of_rows(launch, logits, targets_block, label_smoothing, dloss, losses_block, dlogits, nullptr);
      if (dhidden == nullptr) continue;
      multiply(false, false, logits, weights, rows_of(*dhidden, begin, count));
      multiply(true, true, logits, hidden_block, *dweights);
      continue;
    }
    const moe_tensor high = matrix_in(gradient_memory, MOE_BFLOAT16, count, classes);
    const moe_tensor low = matrix_in(gradient_memory + block * classes, MOE_BFLOAT16, count, classes);
    const moe_tensor out = rows_of(*dhidden, begin, count);
    const moe_tensor sum = rounded ? matrix_in(sums, MOE_FLOAT32, count, width) : out;
    losses_of_rows(launch, logits, targets_block, label_smoothing, dloss, losses_block, &high, &low);
    multiply(false, false, high, weights, sum);
    multiply(false, true, low, weights, sum);
    if (rounded) cast(stream, sum, out);
    multiply(true, true, high, hidden_block, *dweights);
    multiply(true, true, low, hidden_block, *dweights);
  }
}

}  // namespace moe::cuda
