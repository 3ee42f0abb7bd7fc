#include "moe/loss.h"

#include "core/check.h"
#include "core/weights.h"

namespace moe {
namespace {

// The losses and targets of `count` tokens.
moe_token_losses check_tokens(const moe_token_losses* tokens, int64_t count, int64_t classes) {
  const moe_token_losses c = check_struct("tokens", tokens);
  check_tensor("targets", c.targets, kInt32Only, {count});
  if (classes < 1) invalid("there are ", classes, " classes, expected 1 or more");
  if (!(c.label_smoothing >= 0 && c.label_smoothing <= 1)) {
    invalid("label_smoothing is ", c.label_smoothing, ", expected 0 to 1");
  }
  check_finite("dloss", c.dloss);
  check_soft_cap("logit_cap", c.logit_cap);
  check_tensor("losses", c.losses, kFloat32Only, {count});
  return c;
}

// A matrix [classes, width] that is only multiplied by hidden states: row-major or packed.
const moe_tensor& check_output_matrix(const char* name, const moe_tensor* weights, int64_t classes, int64_t width,
                                      const Device& device) {
  const moe_tensor& matrix = check_weights(name, weights, 2, device);
  if (matrix.layout == MOE_ROW_MAJOR) return check_tensor(name, weights, kFloating, {classes, width});
  if ((classes != kAny && matrix.shape[0] != classes) || matrix.shape[1] != width) {
    invalid(name, " has shape ", shape_text(matrix), ", expected another number of rows, or ", width, " columns");
  }
  return matrix;
}

moe_teacher check_teacher(const moe_teacher& teacher, int64_t count, int64_t classes, const Device& device) {
  const moe_teacher c = check_struct("teacher", &teacher);
  if (!(std::isnormal(c.temperature) && c.temperature > 0)) {
    invalid("temperature is ", c.temperature, ", expected more than 0, finite and not subnormal");
  }
  if (!(std::isfinite(c.weight) && c.weight >= 0)) {
    invalid("weight is ", c.weight, ", expected a finite number, 0 or more");
  }
  check_soft_cap("logit_cap", c.logit_cap);
  if (c.weights == nullptr) {
    check_tensor("teacher's hidden", c.hidden, kFloating, {count, classes});
  } else {
    const int64_t width = check_tensor("teacher's hidden", c.hidden, kFloating, {count, kAny}).shape[1];
    check_output_matrix("teacher's weights", c.weights, classes, width, device);
  }
  check_tensor("divergences", c.divergences, kFloat32Only, {count});
  return c;
}

// Both losses that are fused with the output layer. The teacher is null if absent.
void linear_losses(moe_stream stream, const moe_token_losses* tokens, const moe_teacher* teacher,
                   const moe_tensor* hidden, const moe_tensor* weights, const moe_tensor* dhidden,
                   const moe_tensor* dweights) {
  const auto device = find_stream(stream)->shared_device();
  const moe_tensor& rows = check_tensor("hidden", hidden, kFloating, {kAny, kAny});
  const int64_t count = rows.shape[0], width = rows.shape[1];
  const moe_tensor& matrix = dweights == nullptr ? check_output_matrix("weights", weights, kAny, width, *device)
                                                 : check_tensor("weights", weights, kFloating, {kAny, width});
  const int64_t classes = matrix.shape[0];
  const moe_token_losses own = check_tokens(tokens, count, classes);
  const moe_teacher own_teacher = teacher == nullptr ? moe_teacher{} : check_teacher(*teacher, count, classes, *device);
  if (dhidden == nullptr && dweights != nullptr) invalid("dhidden is null, but dweights is given");
  check_optional("dhidden", dhidden, kFloating, {count, width});
  check_optional("dweights", dweights, kFloat32Only, {classes, width});
  check_written(
      {{"losses", own.losses}, {"divergences", own_teacher.divergences}, {"dhidden", dhidden}, {"dweights", dweights}},
      {{"hidden", hidden},
       {"weights", weights},
       {"targets", own.targets},
       {"teacher's hidden", own_teacher.hidden},
       {"teacher's weights", own_teacher.weights}});
  MOE_CALL(stream, linear_cross_entropy, own, teacher == nullptr ? nullptr : &own_teacher, rows, matrix, dhidden,
           dweights);
}

}  // namespace
}  // namespace moe

moe_status moe_cross_entropy(moe_stream stream, const moe_token_losses* tokens, const moe_tensor* logits,
                             const moe_tensor* dlogits, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& scores = moe::check_tensor("logits", logits, moe::kFloating, {moe::kAny, moe::kAny});
    const int64_t rows = scores.shape[0], classes = scores.shape[1];
    const moe_token_losses own = moe::check_tokens(tokens, rows, classes);
    moe::check_optional("dlogits", dlogits, moe::kFloating, {rows, classes});
    moe::check_written({{"dlogits", dlogits}, {"losses", own.losses}}, {{"targets", own.targets}});
    moe::check_written({{"losses", own.losses}}, {{"logits", logits}});
    moe::check_written_or_same({"dlogits", dlogits}, {"logits", logits});
    MOE_CALL(stream, cross_entropy, own, scores, dlogits);
  });
}

moe_status moe_linear_cross_entropy(moe_stream stream, const moe_token_losses* tokens, const moe_tensor* hidden,
                                    const moe_tensor* weights, const moe_tensor* dhidden, const moe_tensor* dweights,
                                    MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] { moe::linear_losses(stream, tokens, nullptr, hidden, weights, dhidden, dweights); });
}

moe_status moe_linear_distillation(moe_stream stream, const moe_token_losses* tokens, const moe_teacher* teacher,
                                   const moe_tensor* hidden, const moe_tensor* weights, const moe_tensor* dhidden,
                                   const moe_tensor* dweights, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::linear_losses(stream, tokens, &moe::check_pointer("teacher", teacher), hidden, weights, dhidden, dweights);
  });
}
