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
void linear_cross_entropy(Stream& stream, const moe_token_losses& tokens, Tensor hidden, Tensor weights,
                          OptionalTensor dhidden, OptionalTensor dweights) {
  Launch launch(stream);
  const int64_t rows = hidden.shape[0], width = hidden.shape[1], classes = weights.shape[0];
  const int64_t block = std::min(rows, block_rows(classes));
  const bool halves = dhidden != nullptr && hidden.dtype == MOE_BFLOAT16 && weights.dtype == MOE_BFLOAT16;
  const bool rounded = halves && dhidden->dtype == MOE_BFLOAT16;  // only once both halves' products are summed
  launch.stream().keep_checks(
      [targets = *tokens.targets, classes] { check_range_values("targets", targets, -1, classes); });
  auto* logits_memory = launch.take<float>(block * classes);
  auto* gradient_memory = halves ? launch.take<uint16_t>(2 * block * classes) : nullptr;
  auto* sums = rounded ? launch.take<float>(block * width) : nullptr;
  const auto multiply = [&](bool transpose_a, bool transpose_b, bool accumulate, Tensor a, Tensor b, Tensor c) {
    gemm(stream, {sizeof(moe_gemm_config), transpose_a, transpose_b, accumulate}, a, b, c, kNoEpilogue);
  };
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t count = std::min(block, rows - begin);
    const moe_tensor logits = matrix_in(logits_memory, MOE_FLOAT32, count, classes);
    const moe_tensor hidden_block = rows_of(hidden, begin, count);
    const moe_tensor targets_block = rows_of(*tokens.targets, begin, count);
    const moe_tensor losses_block = rows_of(*tokens.losses, begin, count);
    moe_token_losses tokens_block = tokens;
    tokens_block.targets = &targets_block, tokens_block.losses = &losses_block;
    multiply(false, true, false, hidden_block, weights, logits);
    if (!halves) {
      const moe_tensor* dlogits = dhidden == nullptr ? nullptr : &logits;
      losses_of_rows(launch, tokens_block, logits, dlogits, nullptr);
      if (dhidden == nullptr) continue;
      multiply(false, false, false, logits, weights, rows_of(*dhidden, begin, count));
      multiply(true, false, true, logits, hidden_block, *dweights);
      continue;
    }
    const moe_tensor high = matrix_in(gradient_memory, MOE_BFLOAT16, count, classes);
    const moe_tensor low = matrix_in(gradient_memory + block * classes, MOE_BFLOAT16, count, classes);
    const moe_tensor out = rows_of(*dhidden, begin, count);
    const moe_tensor sum = rounded ? matrix_in(sums, MOE_FLOAT32, count, width) : out;
    losses_of_rows(launch, tokens_block, logits, &high, &low);
    multiply(false, false, false, high, weights, sum);
    multiply(false, false, true, low, weights, sum);
    if (rounded) cast(stream, sum, out);
    multiply(true, false, true, high, hidden_block, *dweights);
    multiply(true, false, true, low, hidden_block, *dweights);
  }
}

}  // namespace moe::cuda
