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

// A checked copy of the struct, with gamma [M].
moe_norm check_norm(const moe_norm* norm, const moe_tensor& x) {
  const moe_norm c = check_struct("norm", norm);
  check_tensor("gamma", c.gamma, kFloat32Only, {x.shape[1]});
  check_finite("gamma_offset", c.gamma_offset);
  return c;
}

void check_epsilon(float epsilon) {
  check_finite("epsilon", epsilon);
  if (epsilon < 0) invalid("epsilon is ", epsilon, ", expected 0 or more");
}

}  // namespace
}  // namespace moe

moe_status moe_layer_norm_forward(moe_stream stream, const moe_norm* norm, const moe_tensor* x, const moe_tensor* y,
                                  MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& input = moe::check_rows("x", x);
    const int64_t rows = input.shape[0], width = input.shape[1];
    const moe_norm own = moe::check_norm(norm, input);
    moe::check_tensor("beta", own.beta, moe::kFloat32Only, {width});
    moe::check_epsilon(own.epsilon);
    const moe_tensor& output = moe::check_tensor("y", y, moe::kFloating, {rows, width});
    moe::check_optional("mean", own.mean, moe::kFloat32Only, {rows});
    moe::check_optional("rstd", own.rstd, moe::kFloat32Only, {rows});
    moe::check_written({{"y", y}, {"mean", own.mean}, {"rstd", own.rstd}},
                       {{"x", x}, {"gamma", own.gamma}, {"beta", own.beta}});
    MOE_CALL(stream, layer_norm_forward, own, input, output);
  });
}

moe_status moe_layer_norm_backward(moe_stream stream, const moe_norm* norm, const moe_tensor* x, const moe_tensor* dy,
                                   const moe_tensor* dx, const moe_tensor* dgamma, const moe_tensor* dbeta,
                                   MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& input = moe::check_rows("x", x);
    const int64_t rows = input.shape[0], width = input.shape[1];
    const moe_norm own = moe::check_norm(norm, input);
    const moe_tensor& upstream = moe::check_tensor("dy", dy, moe::kFloating, {rows, width});
    moe::check_tensor("mean", own.mean, moe::kFloat32Only, {rows});
    moe::check_tensor("rstd", own.rstd, moe::kFloat32Only, {rows});
    const moe_tensor& output = moe::check_tensor("dx", dx, moe::kFloating, {rows, width});
    const moe_tensor& dscale = moe::check_tensor("dgamma", dgamma, moe::kFloat32Only, {width});
    const moe_tensor& dshift = moe::check_tensor("dbeta", dbeta, moe::kFloat32Only, {width});
    moe::check_written({{"dx", dx}, {"dgamma", dgamma}, {"dbeta", dbeta}},
                       {{"dy", dy}, {"x", x}, {"gamma", own.gamma}, {"mean", own.mean}, {"rstd", own.rstd}});
    MOE_CALL(stream, layer_norm_backward, own, input, upstream, output, dscale, dshift);
  });
}

moe_status moe_rms_norm_forward(moe_stream stream, const moe_norm* norm, const moe_tensor* x, const moe_tensor* y,
                                MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& input = moe::check_rows("x", x);
    const int64_t rows = input.shape[0], width = input.shape[1];
    const moe_norm own = moe::check_norm(norm, input);
    moe::check_epsilon(own.epsilon);
    const moe_tensor& output = moe::check_tensor("y", y, moe::kFloating, {rows, width});
    moe::check_optional("rstd", own.rstd, moe::kFloat32Only, {rows});
    moe::check_written({{"y", y}, {"rstd", own.rstd}}, {{"x", x}, {"gamma", own.gamma}});
    MOE_CALL(stream, rms_norm_forward, own, input, output);
  });
}

moe_status moe_rms_norm_backward(moe_stream stream, const moe_norm* norm, const moe_tensor* x, const moe_tensor* dy,
                                 const moe_tensor* dx, const moe_tensor* dgamma, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& input = moe::check_rows("x", x);
    const int64_t rows = input.shape[0], width = input.shape[1];
    const moe_norm own = moe::check_norm(norm, input);
    const moe_tensor& upstream = moe::check_tensor("dy", dy, moe::kFloating, {rows, width});
    moe::check_tensor("rstd", own.rstd, moe::kFloat32Only, {rows});
    const moe_tensor& output = moe::check_tensor("dx", dx, moe::kFloating, {rows, width});
    const moe_tensor& dscale = moe::check_tensor("dgamma", dgamma, moe::kFloat32Only, {width});
    moe::check_written({{"dx", dx}, {"dgamma", dgamma}},
                       {{"dy", dy}, {"x", x}, {"gamma", own.gamma}, {"rstd", own.rstd}});
    MOE_CALL(stream, rms_norm_backward, own, input, upstream, output, dscale);
  });
}
