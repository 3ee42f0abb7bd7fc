#include "moe/dispatch.h"

#include "core/routes.h"

moe_status moe_dispatch_forward(moe_stream stream, const moe_tensor* x, const moe_tensor* expert,
                                const moe_tensor* position, const moe_tensor* offsets, const moe_tensor* rows,
                                MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& tokens = moe::check_tensor("x", x, moe::kFloating, {moe::kAny, moe::kAny});
    moe::check_routes(tokens.shape[0], expert, position, offsets);
    const moe_tensor& output = moe::check_tensor("rows", rows, moe::kFloating, {moe::kAny, tokens.shape[1]});
    moe::check_same_dtype("x", tokens, "rows", output);
    moe::check_written({{"rows", rows}}, {{"x", x}, {"expert", expert}, {"position", position}, {"offsets", offsets}});
    MOE_LAUNCH(stream, dispatch_forward, tokens, *expert, *position, *offsets, output);
  });
}

moe_status moe_dispatch_backward(moe_stream stream, const moe_tensor* drows, const moe_tensor* expert,
                                 const moe_tensor* position, const moe_tensor* offsets, const moe_tensor* dx,
                                 MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& gradient = moe::check_tensor("dx", dx, moe::kFloating, {moe::kAny, moe::kAny});
    moe::check_routes(gradient.shape[0], expert, position, offsets);
    const moe_tensor& upstream = moe::check_tensor("drows", drows, moe::kFloating, {moe::kAny, gradient.shape[1]});
    moe::check_written({{"dx", dx}},
                       {{"drows", drows}, {"expert", expert}, {"position", position}, {"offsets", offsets}});
    MOE_LAUNCH(stream, dispatch_backward, upstream, *expert, *position, *offsets, gradient);
  });
}
