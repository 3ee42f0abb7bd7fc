// Cross-entropy, and the divergence from a teacher, fused with the output layer in blocks of rows, so that [S, V] is
// never in memory as a whole (Liger Kernel, arXiv 2410.10989). Formulas: cross_entropy.cc, divergence.cc.
//
//   x = hidden weights^T, softly capped if tokens.logit_cap is not 0,   dhidden = dx weights,   dweights += dx^T hidden
//
// hidden [S, M], weights [V, M], each float32 or bfloat16.
// Test: panamoe_test --gtest_filter='Loss*:Distillation*'. Time: attention_bench --only linear.
#include <algorithm>

#include "core/check.h"
#include "cpu/cross_entropy.h"
#include "cpu/indices.h"
#include "cpu/kernels.h"

namespace moe::cpu {
namespace {

// Rows per block: the three GEMMs run at their peak, and float32 logits take at most 32 MB (or 64 rows). It depends on
// the number of classes alone, because it sets the order in which dweights is summed.
int64_t block_rows(int64_t classes) { return std::clamp<int64_t>((int64_t{8} << 20) / classes / 64 * 64, 64, 1024); }

constexpr int64_t kTeacherRows = 512;  // rows whose teacher logits are in memory at a time

// A float32 matrix in scratch memory.
moe_tensor matrix_in(float* memory, int64_t rows, int64_t width) {
  return {sizeof(moe_tensor), MOE_FLOAT32,  memory, rows * width * int64_t{sizeof(float)}, 2,
          MOE_ROW_MAJOR,      {rows, width}};
}

}  // namespace

void linear_cross_entropy(Stream& stream, const moe_token_losses& tokens, const moe_teacher* teacher, Tensor hidden,
                          Tensor weights, OptionalTensor dhidden, OptionalTensor dweights) {
  const int64_t rows = hidden.shape[0], classes = weights.shape[0], block = std::min(rows, block_rows(classes));
  const moe_tensor labels = checked_indices(stream, "targets", *tokens.targets, -1, classes);
  // Losses come from float32 logits. Their gradient overwrites them; it is rounded to bfloat16 if both of its products
  // have bfloat16 matrices, like every other gradient in that case.
  const bool half = dhidden != nullptr && hidden.dtype == MOE_BFLOAT16 && weights.dtype == MOE_BFLOAT16;
  const int64_t part = teacher == nullptr ? block : std::min(block, kTeacherRows);
  float* memory = stream.arena().take<float>(block * classes);
  auto* half_memory = half ? stream.arena().take<uint16_t>(block * classes) : nullptr;
  auto* teacher_memory = teacher == nullptr ? nullptr : stream.arena().take<float>(part * classes);
  const auto multiply = [&](bool transpose_a, bool transpose_b, bool accumulate, Tensor a, Tensor b, Tensor c) {
    gemm(stream, {sizeof(moe_gemm_config), transpose_a, transpose_b, accumulate}, a, b, c, kNoEpilogue);
  };
  // The losses of `count` rows from `begin` on.
  const auto losses = [&](int64_t begin, int64_t count, Tensor logits, OptionalTensor dlogits) {
    const moe_tensor labels_part = rows_of(labels, begin, count), losses_part = rows_of(*tokens.losses, begin, count);
    moe_token_losses tokens_part = tokens;
    tokens_part.targets = &labels_part, tokens_part.losses = &losses_part;
    if (teacher == nullptr) return losses_of_rows(stream, tokens_part, logits, nullptr, dlogits);
    const moe_tensor hidden_part = rows_of(*teacher->hidden, begin, count);
    const moe_tensor divergences_part = rows_of(*teacher->divergences, begin, count);
    const moe_tensor scratch = matrix_in(teacher_memory, count, classes);
    if (teacher->weights != nullptr) {
      multiply(false, true, false, hidden_part, *teacher->weights, scratch);
      if (teacher->logit_cap > 0) soft_cap(stream, teacher->logit_cap, scratch, scratch);
    }
    moe_teacher given = *teacher;
    given.hidden = teacher->weights == nullptr ? &hidden_part : &scratch;
    given.weights = nullptr, given.divergences = &divergences_part;
    const moe_tensor* gradient = dlogits == nullptr ? nullptr : &scratch;
    divergences_of_rows(stream, given, labels_part, logits, gradient);
    losses_of_rows(stream, tokens_part, logits, gradient, dlogits);
  };
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t count = std::min(block, rows - begin);
    const moe_tensor logits = matrix_in(memory, count, classes);
    moe_tensor dlogits = logits;
    if (half) dlogits.dtype = MOE_BFLOAT16, dlogits.data = half_memory, dlogits.bytes /= 2;
    const moe_tensor hidden_block = rows_of(hidden, begin, count);
    multiply(false, true, false, hidden_block, weights, logits);
    if (tokens.logit_cap > 0) soft_cap(stream, tokens.logit_cap, logits, logits);
    for (int64_t first = 0; first < count; first += part) {
      const int64_t some = std::min(part, count - first);
      const moe_tensor dlogits_part = rows_of(dlogits, first, some);
      losses(begin + first, some, rows_of(logits, first, some), dhidden == nullptr ? nullptr : &dlogits_part);
    }
    if (dhidden == nullptr) continue;
    const moe_tensor dhidden_block = rows_of(*dhidden, begin, count);
    multiply(false, false, false, dlogits, weights, dhidden_block);
    if (dweights != nullptr) multiply(true, false, true, dlogits, hidden_block, *dweights);
  }
}

}  // namespace moe::cpu
