// Cross-entropy and the divergence from a teacher fused with the output layer, in blocks of rows. Formulas and shapes:
// cpu/linear_cross_entropy.cc. Three GEMMs and losses_of_rows per block.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Loss*:Distillation*'. Time: ./panamoe bench train-step
// --device cuda.
#include <algorithm>

#include "core/check.h"
#include "cuda/device/host_tensor.h"
#include "cuda/device/kernels.h"
#include "cuda/loss/cross_entropy.h"

namespace moe::cuda {
namespace {

// Rows per block: the three GEMMs fill the GPU, and float32 logits take at most 128 MB (or 128 rows). It depends on the
// number of classes alone, because it sets the order in which dweights is summed.
int64_t block_rows(int64_t classes) {
  return std::clamp<int64_t>((int64_t{32} << 20) / classes / 128 * 128, 128, 2048);
}

constexpr int64_t kTeacherRows = 512;  // rows whose teacher logits are in memory at a time

// A matrix in scratch memory.
moe_tensor matrix_in(void* memory, moe_dtype dtype, int64_t rows, int64_t width) {
  return {sizeof(moe_tensor), dtype, memory, rows * width * dtype_bytes(dtype), 2, MOE_ROW_MAJOR, {rows, width}};
}

}  // namespace

// If weights and hidden are bfloat16, the gradient of the logits is split into two bfloat16 matrices, high and low, for
// tensor cores: as exact as a product of float32 and bfloat16, and many times as fast.
void linear_cross_entropy(Stream& stream, const moe_token_losses& tokens, const moe_teacher* teacher, Tensor hidden,
                          Tensor weights, OptionalTensor dhidden, OptionalTensor dweights) {
  Launcher launch(stream);
  const int64_t rows = hidden.shape[0], width = hidden.shape[1], classes = weights.shape[0];
  const int64_t block = std::min(rows, block_rows(classes));
  const bool halves = dhidden != nullptr && hidden.dtype == MOE_BFLOAT16 && weights.dtype == MOE_BFLOAT16;
  const bool rounded = halves && dhidden->dtype == MOE_BFLOAT16;  // rounded once, after both products are summed
  const int64_t part = teacher == nullptr ? block : std::min(block, kTeacherRows);
  launch.stream().keep_checks(
      [targets = *tokens.targets, classes] { check_range_values("targets", HostTensor(targets), -1, classes); });
  auto* logits_memory = launch.take<float>(block * classes);
  auto* gradient_memory = halves ? launch.take<uint16_t>(2 * block * classes) : nullptr;
  auto* sums = rounded ? launch.take<float>(block * width) : nullptr;
  auto* teacher_memory = teacher == nullptr ? nullptr : launch.take<float>(part * classes);
  const auto multiply = [&](bool transpose_a, bool transpose_b, bool accumulate, Tensor a, Tensor b, Tensor c) {
    gemm(stream, {sizeof(moe_gemm_config), transpose_a, transpose_b, accumulate}, a, b, c, kNoEpilogue);
  };
  // The losses of `count` rows from `begin` on.
  const auto losses = [&](int64_t begin, int64_t count, Tensor logits, OptionalTensor dlogits, OptionalTensor rest) {
    const moe_tensor targets_part = rows_of(*tokens.targets, begin, count);
    const moe_tensor losses_part = rows_of(*tokens.losses, begin, count);
    moe_token_losses tokens_part = tokens;
    tokens_part.targets = &targets_part, tokens_part.losses = &losses_part;
    if (teacher == nullptr) return losses_of_rows(launch, tokens_part, logits, nullptr, dlogits, rest);
    const moe_tensor hidden_part = rows_of(*teacher->hidden, begin, count);
    const moe_tensor divergences_part = rows_of(*teacher->divergences, begin, count);
    const moe_tensor scratch = matrix_in(teacher_memory, MOE_FLOAT32, count, classes);
    if (teacher->weights != nullptr) {
      multiply(false, true, false, hidden_part, *teacher->weights, scratch);
      if (teacher->logit_cap > 0) soft_cap(stream, teacher->logit_cap, scratch, scratch);
    }
    moe_teacher given = *teacher;
    given.hidden = teacher->weights == nullptr ? &hidden_part : &scratch;
    given.weights = nullptr, given.divergences = &divergences_part;
    const moe_tensor* gradient = dlogits == nullptr ? nullptr : &scratch;
    divergences_of_rows(launch, given, targets_part, logits, gradient);
    losses_of_rows(launch, tokens_part, logits, gradient, dlogits, rest);
  };
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t count = std::min(block, rows - begin);
    const moe_tensor logits = matrix_in(logits_memory, MOE_FLOAT32, count, classes);
    const moe_tensor high = halves ? matrix_in(gradient_memory, MOE_BFLOAT16, count, classes) : logits;
    const moe_tensor low = halves ? matrix_in(gradient_memory + block * classes, MOE_BFLOAT16, count, classes) : logits;
    const moe_tensor hidden_block = rows_of(hidden, begin, count);
    multiply(false, true, false, hidden_block, weights, logits);
    if (tokens.logit_cap > 0) soft_cap(stream, tokens.logit_cap, logits, logits);
    for (int64_t first = 0; first < count; first += part) {
      const int64_t some = std::min(part, count - first);
      const moe_tensor high_part = rows_of(high, first, some), low_part = rows_of(low, first, some);
      losses(begin + first, some, rows_of(logits, first, some), dhidden == nullptr ? nullptr : &high_part,
             halves ? &low_part : nullptr);
    }
    if (dhidden == nullptr) continue;
    const moe_tensor out = rows_of(*dhidden, begin, count);
    const moe_tensor sum = rounded ? matrix_in(sums, MOE_FLOAT32, count, width) : out;
    multiply(false, false, false, high, weights, sum);
    if (halves) multiply(false, false, true, low, weights, sum);
    if (rounded) cast(stream, sum, out);
    if (dweights == nullptr) continue;
    multiply(true, false, true, high, hidden_block, *dweights);
    if (halves) multiply(true, false, true, low, hidden_block, *dweights);
  }
}

}  // namespace moe::cuda
