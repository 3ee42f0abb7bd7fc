#include "moe/loss.h"

#include "core/check.h"

namespace moe {
namespace {

// The targets and losses of `count` tokens.
moe_token_losses check_tokens(const moe_token_losses* tokens, int64_t count, int64_t classes) {
  const moe_token_losses c = check_struct("tokens", tokens);
  check_tensor("targets", c.targets, kInt32Only, {count});
  if (classes < 1) invalid("there are ", classes, " classes, expected 1 or more");
  if (!(c.label_smoothing >= 0 && c.label_smoothing <= 1)) {
    invalid("label_smoothing is ", c.label_smoothing, ", expected 0 to 1");
  }
  check_finite("dloss", c.dloss);
  check_tensor("losses", c.losses, kFloat32Only, {count});
  return c;
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
    MOE_LAUNCH(stream, cross_entropy, own, scores, dlogits);
  });
}

moe_status moe_linear_cross_entropy(moe_stream stream, const moe_token_losses* tokens, const moe_tensor* hidden,
                                    const moe_tensor* weights, const moe_tensor* dhidden, const moe_tensor* dweights,
                                    MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& rows = moe::check_tensor("hidden", hidden, moe::kFloating, {moe::kAny, moe::kAny});
    const int64_t count = rows.shape[0], width = rows.shape[1];
    const moe_tensor& matrix = moe::check_tensor("weights", weights, moe::kFloating, {moe::kAny, width});
    const int64_t classes = matrix.shape[0];
    const moe_token_losses own = moe::check_tokens(tokens, count, classes);
    if ((dhidden == nullptr) != (dweights == nullptr)) {
      moe::invalid(dhidden == nullptr ? "dhidden" : "dweights", " is null, expected both gradients or none");
    }
    moe::check_optional("dhidden", dhidden, moe::kFloating, {count, width});
    moe::check_optional("dweights", dweights, moe::kFloat32Only, {classes, width});
    moe::check_written({{"losses", own.losses}, {"dhidden", dhidden}, {"dweights", dweights}},
                       {{"hidden", hidden}, {"weights", weights}, {"targets", own.targets}});
    MOE_LAUNCH(stream, linear_cross_entropy, own, rows, matrix, dhidden, dweights);
  });
}
