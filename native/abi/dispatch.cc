#include "moe/dispatch.h"

#include "core/routes.h"

moe_status moe_dispatch_forward(moe_stream stream, const moe_tensor* x, const moe_routes* routes,
                                const moe_tensor* rows, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& tokens = moe::check_tensor("x", x, moe::kFloating, {moe::kAny, moe::kAny});
    const moe_routes table = moe::check_routes(routes, tokens.shape[0]);
    const moe_tensor& output = moe::check_tensor("rows", rows, moe::kFloating, {moe::kAny, tokens.shape[1]});
    moe::check_same_dtype("x", tokens, "rows", output);
    moe::check_written({{"rows", rows}},
                       {{"x", x}, {"expert", table.expert}, {"position", table.position}, {"offsets", table.offsets}});
    MOE_LAUNCH(stream, dispatch_forward, tokens, table, output);
  });
}

moe_status moe_dispatch_backward(moe_stream stream, const moe_tensor* drows, const moe_routes* routes,
                                 const moe_tensor* dx, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& gradient = moe::check_tensor("dx", dx, moe::kFloating, {moe::kAny, moe::kAny});
    const moe_routes table = moe::check_routes(routes, gradient.shape[0]);
    const moe_tensor& upstream = moe::check_tensor("drows", drows, moe::kFloating, {moe::kAny, gradient.shape[1]});
    moe::check_written(
        {{"dx", dx}},
        {{"drows", drows}, {"expert", table.expert}, {"position", table.position}, {"offsets", table.offsets}});
    MOE_LAUNCH(stream, dispatch_backward, upstream, table, gradient);
  });
}
