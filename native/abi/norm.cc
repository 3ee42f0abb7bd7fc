#include "moe/norm.h"

#include "core/check.h"

namespace moe {
namespace {

// x [S, M] with M > 0.
const moe_tensor& check_rows(const char* name, const moe_tensor* x) {
  check_tensor(name, x, kFloating, {kAny, kAny});
  if (x->shape[1] == 0) invalid(name, " has shape ", shape_text(*x), ", a norm needs at least one column");
  return *x;
}

void check_epsilon(float epsilon) {
  check_finite("epsilon", epsilon);
  if (epsilon < 0) invalid("epsilon is ", epsilon, ", expected 0 or more");
}

}  // namespace
}  // namespace moe

moe_status moe_layer_norm_forward(moe_stream stream, const moe_tensor* x, const moe_tensor* gamma,
                                  const moe_tensor* beta, float epsilon, const moe_tensor* y, const moe_tensor* mean,
                                  const moe_tensor* rstd, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& input = moe::check_rows("x", x);
    const int64_t rows = input.shape[0], width = input.shape[1];
    const moe_tensor& scale = moe::check_tensor("gamma", gamma, moe::kFloat32Only, {width});
    const moe_tensor& shift = moe::check_tensor("beta", beta, moe::kFloat32Only, {width});
    moe::check_epsilon(epsilon);
    const moe_tensor& output = moe::check_tensor("y", y, moe::kFloating, {rows, width});
    moe::check_optional("mean", mean, moe::kFloat32Only, {rows});
    moe::check_optional("rstd", rstd, moe::kFloat32Only, {rows});
    moe::check_written({{"y", y}, {"mean", mean}, {"rstd", rstd}}, {{"x", x}, {"gamma", gamma}, {"beta", beta}});
    MOE_LAUNCH(stream, layer_norm_forward, input, scale, shift, epsilon, output, mean, rstd);
  });
}

moe_status moe_layer_norm_backward(moe_stream stream, const moe_tensor* dy, const moe_tensor* x,
                                   const moe_tensor* gamma, const moe_tensor* mean, const moe_tensor* rstd,
                                   const moe_tensor* dx, const moe_tensor* dgamma, const moe_tensor* dbeta,
                                   MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& input = moe::check_rows("x", x);
    const int64_t rows = input.shape[0], width = input.shape[1];
    const moe_tensor& upstream = moe::check_tensor("dy", dy, moe::kFloating, {rows, width});
    const moe_tensor& scale = moe::check_tensor("gamma", gamma, moe::kFloat32Only, {width});
    const moe_tensor& means = moe::check_tensor("mean", mean, moe::kFloat32Only, {rows});
    const moe_tensor& rstds = moe::check_tensor("rstd", rstd, moe::kFloat32Only, {rows});
    const moe_tensor& output = moe::check_tensor("dx", dx, moe::kFloating, {rows, width});
    const moe_tensor& dscale = moe::check_tensor("dgamma", dgamma, moe::kFloat32Only, {width});
    const moe_tensor& dshift = moe::check_tensor("dbeta", dbeta, moe::kFloat32Only, {width});
    moe::check_written({{"dx", dx}, {"dgamma", dgamma}, {"dbeta", dbeta}},
                       {{"dy", dy}, {"x", x}, {"gamma", gamma}, {"mean", mean}, {"rstd", rstd}});
    MOE_LAUNCH(stream, layer_norm_backward, upstream, input, scale, means, rstds, output, dscale, dshift);
  });
}

moe_status moe_rms_norm_forward(moe_stream stream, const moe_tensor* x, const moe_tensor* gamma, float epsilon,
                                const moe_tensor* y, const moe_tensor* rstd, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& input = moe::check_rows("x", x);
    const int64_t rows = input.shape[0], width = input.shape[1];
    const moe_tensor& scale = moe::check_tensor("gamma", gamma, moe::kFloat32Only, {width});
    moe::check_epsilon(epsilon);
    const moe_tensor& output = moe::check_tensor("y", y, moe::kFloating, {rows, width});
    moe::check_optional("rstd", rstd, moe::kFloat32Only, {rows});
    moe::check_written({{"y", y}, {"rstd", rstd}}, {{"x", x}, {"gamma", gamma}});
    MOE_LAUNCH(stream, rms_norm_forward, input, scale, epsilon, output, rstd);
  });
}

moe_status moe_rms_norm_backward(moe_stream stream, const moe_tensor* dy, const moe_tensor* x, const moe_tensor* gamma,
                                 const moe_tensor* rstd, const moe_tensor* dx, const moe_tensor* dgamma,
                                 MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& input = moe::check_rows("x", x);
    const int64_t rows = input.shape[0], width = input.shape[1];
    const moe_tensor& upstream = moe::check_tensor("dy", dy, moe::kFloating, {rows, width});
    const moe_tensor& scale = moe::check_tensor("gamma", gamma, moe::kFloat32Only, {width});
    const moe_tensor& rstds = moe::check_tensor("rstd", rstd, moe::kFloat32Only, {rows});
    const moe_tensor& output = moe::check_tensor("dx", dx, moe::kFloating, {rows, width});
    const moe_tensor& dscale = moe::check_tensor("dgamma", dgamma, moe::kFloat32Only, {width});
    moe::check_written({{"dx", dx}, {"dgamma", dgamma}}, {{"dy", dy}, {"x", x}, {"gamma", gamma}, {"rstd", rstd}});
    MOE_LAUNCH(stream, rms_norm_backward, upstream, input, scale, rstds, output, dscale);
  });
}
