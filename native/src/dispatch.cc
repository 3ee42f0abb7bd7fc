#include "moe/dispatch.h"

#include "src/check.h"

namespace moe {
namespace {

// The table of routes of the [S, M] tensor `x` and the [R, M] tensor `rows`.
void check_routes(const moe_tensor& x, const moe_tensor* expert, const moe_tensor* position, const moe_tensor* offsets) {
  check_tensor("expert", expert, kInt32Only, {x.shape[0], kAny});
  check_tensor("position", position, kInt32Only, {x.shape[0], expert->shape[1]});
  check_tensor("offsets", offsets, kInt32Only, {kAny});
  if (offsets->shape[0] < 2) invalid("offsets has shape ", shape_text(*offsets), ", expected one more than the experts");
}

}  // namespace
}  // namespace moe

moe_status moe_dispatch_forward(moe_stream stream, const moe_tensor* x, const moe_tensor* expert,
                                const moe_tensor* position, const moe_tensor* offsets, const moe_tensor* rows) {
  return moe::guard(__func__, [&] {
    const moe_tensor& tokens = moe::check_tensor("x", x, moe::kFloating, {moe::kAny, moe::kAny});
    moe::check_routes(tokens, expert, position, offsets);
    const moe_tensor& output = moe::check_tensor("rows", rows, moe::kFloating, {moe::kAny, tokens.shape[1]});
    moe::check_same_dtype("x", tokens, "rows", output);
    moe::check_disjoint("x", tokens, "rows", output);
    MOE_LAUNCH(stream, dispatch_forward, tokens, *expert, *position, *offsets, output);
  });
}

moe_status moe_dispatch_backward(moe_stream stream, const moe_tensor* drows, const moe_tensor* expert,
                                 const moe_tensor* position, const moe_tensor* offsets, const moe_tensor* dx) {
  return moe::guard(__func__, [&] {
    const moe_tensor& gradient = moe::check_tensor("dx", dx, moe::kFloating, {moe::kAny, moe::kAny});
    moe::check_routes(gradient, expert, position, offsets);
    const moe_tensor& upstream = moe::check_tensor("drows", drows, moe::kFloating, {moe::kAny, gradient.shape[1]});
    moe::check_disjoint("drows", upstream, "dx", gradient);
    MOE_LAUNCH(stream, dispatch_backward, upstream, *expert, *position, *offsets, gradient);
  });
}
