#include "moe/loss.h"

#include "core/check.h"

namespace moe {
namespace {

void check_scalars(int64_t classes, float label_smoothing, float dloss) {
  if (classes < 1) invalid("there are ", classes, " classes, expected 1 or more");
  if (!(label_smoothing >= 0 && label_smoothing <= 1)) {
    invalid("label_smoothing is ", label_smoothing, ", expected 0 to 1");
  }
  check_finite("dloss", dloss);
}

}  // namespace
}  // namespace moe

moe_status moe_cross_entropy(moe_stream stream, const moe_tensor* logits, const moe_tensor* targets,
                             float label_smoothing, float dloss, const moe_tensor* losses, const moe_tensor* dlogits,
                             MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::T scores = moe::check_tensor("logits", logits, moe::kFloating, {moe::kAny, moe::kAny});
    const int64_t rows = scores.shape[0], classes = scores.shape[1];
    moe::T labels = moe::check_tensor("targets", targets, moe::kInt32Only, {rows});
    moe::check_scalars(classes, label_smoothing, dloss);
    moe::T values = moe::check_tensor("losses", losses, moe::kFloat32Only, {rows});
    const moe_tensor* gradient = moe::check_optional("dlogits", dlogits, moe::kFloating, {rows, classes});
    moe::check_written({{"dlogits", dlogits}, {"losses", losses}}, {{"targets", targets}});
    moe::check_written({{"losses", losses}}, {{"logits", logits}});
    moe::check_written_or_same({"dlogits", dlogits}, {"logits", logits});
    MOE_LAUNCH(stream, cross_entropy, scores, labels, label_smoothing, dloss, values, gradient);
  });
}

moe_status moe_linear_cross_entropy(moe_stream stream, const moe_tensor* hidden, const moe_tensor* weights,
                                    const moe_tensor* targets, float label_smoothing, float dloss,
                                    const moe_tensor* losses, const moe_tensor* dhidden, const moe_tensor* dweights,
                                    MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::T rows = moe::check_tensor("hidden", hidden, moe::kFloating, {moe::kAny, moe::kAny});
    const int64_t count = rows.shape[0], width = rows.shape[1];
    moe::T matrix = moe::check_tensor("weights", weights, moe::kFloating, {moe::kAny, width});
    const int64_t classes = matrix.shape[0];
    moe::T labels = moe::check_tensor("targets", targets, moe::kInt32Only, {count});
    moe::check_scalars(classes, label_smoothing, dloss);
    moe::T values = moe::check_tensor("losses", losses, moe::kFloat32Only, {count});
    if ((dhidden == nullptr) != (dweights == nullptr)) {
      moe::invalid(dhidden == nullptr ? "dhidden" : "dweights", " is null, expected both gradients or none");
    }
    const moe_tensor* drows = moe::check_optional("dhidden", dhidden, moe::kFloating, {count, width});
    const moe_tensor* dmatrix = moe::check_optional("dweights", dweights, moe::kFloat32Only, {classes, width});
    moe::check_written({{"losses", losses}, {"dhidden", dhidden}, {"dweights", dweights}},
                       {{"hidden", hidden}, {"weights", weights}, {"targets", targets}});
    MOE_LAUNCH(stream, linear_cross_entropy, rows, matrix, labels, label_smoothing, dloss, values, drows, dmatrix);
  });
}
