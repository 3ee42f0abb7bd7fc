#include "moe/combine.h"

#include "src/check.h"

namespace moe {
namespace {

// The table of routes and the residual branch of S tokens, next to rows [R, M].
void check_combine(const moe_tensor* rows, int64_t tokens, const moe_tensor* expert, const moe_tensor* position,
                   const moe_tensor* weight, const moe_tensor* offsets, const moe_tensor* mlp,
                   const moe_tensor* coefficient) {
  check_tensor("rows", rows, kFloating, {kAny, kAny});
  check_tensor("expert", expert, kInt32Only, {tokens, kAny});
  check_tensor("position", position, kInt32Only, {tokens, expert->shape[1]});
  check_tensor("weight", weight, kFloat32Only, {tokens, expert->shape[1]});
  check_tensor("offsets", offsets, kInt32Only, {kAny});
  if (offsets->shape[0] < 2) invalid("offsets has shape ", shape_text(*offsets), ", expected one more than the experts");
  if ((mlp == nullptr) != (coefficient == nullptr)) {
    invalid("mlp and coefficient are given together or both null, ", mlp == nullptr ? "mlp" : "coefficient", " is null");
  }
  check_optional("mlp", mlp, kFloating, {tokens, rows->shape[1]});
  check_optional("coefficient", coefficient, kFloat32Only, {tokens, 2});
}

}  // namespace
}  // namespace moe

moe_status moe_combine_forward(moe_stream stream, const moe_tensor* rows, const moe_tensor* expert,
                               const moe_tensor* position, const moe_tensor* weight, const moe_tensor* offsets,
                               const moe_tensor* mlp, const moe_tensor* coefficient, const moe_tensor* skip,
                               const moe_tensor* y) {
  return moe::guard(__func__, [&] {
    const moe_tensor& output = moe::check_tensor("y", y, moe::kFloating, {moe::kAny, moe::kAny});
    const int64_t tokens = output.shape[0], width = output.shape[1];
    moe::check_combine(rows, tokens, expert, position, weight, offsets, mlp, coefficient);
    moe::check_tensor("rows", rows, moe::kFloating, {moe::kAny, width});
    moe::check_optional("skip", skip, moe::kFloating, {tokens, width});
    moe::check_disjoint("rows", *rows, "y", output);
    if (mlp != nullptr) moe::check_disjoint_or_same("mlp", *mlp, "y", output);
    if (skip != nullptr) moe::check_disjoint_or_same("skip", *skip, "y", output);
    MOE_LAUNCH(stream, combine_forward, *rows, *expert, *position, *weight, *offsets, mlp, coefficient, skip, output);
  });
}

moe_status moe_combine_backward(moe_stream stream, const moe_tensor* dy, const moe_tensor* rows,
                                const moe_tensor* expert, const moe_tensor* position, const moe_tensor* weight,
                                const moe_tensor* offsets, const moe_tensor* mlp, const moe_tensor* coefficient,
                                const moe_tensor* drows, const moe_tensor* dweight, const moe_tensor* dmlp,
                                const moe_tensor* dcoefficient) {
  return moe::guard(__func__, [&] {
    const moe_tensor& upstream = moe::check_tensor("dy", dy, moe::kFloating, {moe::kAny, moe::kAny});
    const int64_t tokens = upstream.shape[0], width = upstream.shape[1];
    moe::check_combine(rows, tokens, expert, position, weight, offsets, mlp, coefficient);
    moe::check_tensor("rows", rows, moe::kFloating, {moe::kAny, width});
    moe::check_tensor("drows", drows, moe::kFloating, {rows->shape[0], width});
    moe::check_tensor("dweight", dweight, moe::kFloat32Only, {tokens, expert->shape[1]});
    moe::check_disjoint("dy", upstream, "drows", *drows);
    moe::check_disjoint("rows", *rows, "drows", *drows);
    if (mlp != nullptr) {
      moe::check_tensor("dmlp", dmlp, moe::kFloating, {tokens, width});
      moe::check_tensor("dcoefficient", dcoefficient, moe::kFloat32Only, {tokens, 2});
      moe::check_disjoint("dy", upstream, "dmlp", *dmlp);
      moe::check_disjoint("mlp", *mlp, "dmlp", *dmlp);
      moe::check_disjoint("drows", *drows, "dmlp", *dmlp);
    } else if (dmlp != nullptr || dcoefficient != nullptr) {
      moe::invalid(dmlp != nullptr ? "dmlp" : "dcoefficient", " is given without mlp and coefficient");
    }
    MOE_LAUNCH(stream, combine_backward, upstream, *rows, *expert, *position, *weight, *offsets, mlp, coefficient,
               *drows, *dweight, dmlp, dcoefficient);
  });
}
