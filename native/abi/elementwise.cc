#include "moe/elementwise.h"

#include "core/check.h"

namespace moe {
namespace {

struct CheckedActivation {
  moe_activation_config activation;
  const moe_tensor& x;
  const moe_tensor& y;  // y, or its gradient
};

// x [S, N] and y [S, N], or x [S, 2N] for a gated activation.
CheckedActivation check_activation_shapes(moe_stream stream, const moe_activation_config* activation,
                                          const moe_tensor* x, const char* y_name, const moe_tensor* y) {
  const moe_activation_config known = check_activation(activation, find_stream(stream)->device());
  check_tensor("x", x, kFloating, {kAny, kAny});
  check_tensor(y_name, y, kFloating, {x->shape[0], activated_columns(known, x->shape[1])});
  return {known, *x, *y};
}

void check_bound(float bound) {
  check_finite("bound", bound);
  if (bound < 0) invalid("bound is ", bound, ", expected 0 or more");
}

void check_cap(float cap) {
  check_finite("cap", cap);
  if (!(cap > 0)) invalid("cap is ", cap, ", expected more than 0");
}

void check_exponent(float bound) {
  check_finite("bound", bound);
  if (bound > 88) invalid("bound is ", bound, ", expected at most 88");
}

// y has as many elements as x and may alias x.
void check_map(const moe_tensor* x, const moe_tensor* y) {
  check_elements("y", y, kFloating, element_count(check_elements("x", x, kFloating)));
  check_written_or_same({"y", y}, {"x", x});
}

void check_map_gradient(const moe_tensor* x, const moe_tensor* dy, const moe_tensor* dx) {
  const int64_t count = element_count(check_elements("x", x, kFloating));
  check_elements("dy", dy, kFloating, count);
  check_elements("dx", dx, kFloating, count);
  check_written_or_same({"dx", dx}, {"x", x});
  check_written_or_same({"dx", dx}, {"dy", dy});
}

}  // namespace
}  // namespace moe

moe_status moe_activation_config_default(moe_activation_config* config) {
  return moe::guard(__func__, [&] { moe::check_struct("config", config) = moe::kIdentity; });
}

moe_status moe_fill(moe_stream stream, float value, const moe_tensor* y, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] { MOE_CALL(stream, fill, value, moe::check_elements("y", y, moe::kFloating)); });
}

moe_status moe_cast(moe_stream stream, const moe_tensor* x, const moe_tensor* y, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::check_map(x, y);
    MOE_CALL(stream, cast, *x, *y);
  });
}

moe_status moe_add(moe_stream stream, float alpha, const moe_tensor* a, float beta, const moe_tensor* b,
                   const moe_tensor* y, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& first = moe::check_elements("a", a, moe::kFloating);
    const int64_t count = moe::element_count(first);
    const moe_tensor& second = moe::check_elements("b", b, moe::kFloating, count);
    const moe_tensor& sum = moe::check_elements("y", y, moe::kFloating, count);
    moe::check_written_or_same({"y", y}, {"a", a});
    moe::check_written_or_same({"y", y}, {"b", b});
    MOE_CALL(stream, add, alpha, first, beta, second, sum);
  });
}

moe_status moe_clamp_forward(moe_stream stream, float bound, const moe_tensor* x, const moe_tensor* y,
                             MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::check_bound(bound);
    moe::check_map(x, y);
    MOE_CALL(stream, clamp_forward, bound, *x, *y);
  });
}

moe_status moe_clamp_backward(moe_stream stream, float bound, const moe_tensor* x, const moe_tensor* dy,
                              const moe_tensor* dx, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::check_bound(bound);
    moe::check_map_gradient(x, dy, dx);
    MOE_CALL(stream, clamp_backward, bound, *x, *dy, *dx);
  });
}

moe_status moe_soft_cap(moe_stream stream, float cap, const moe_tensor* x, const moe_tensor* y, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::check_cap(cap);
    moe::check_map(x, y);
    MOE_CALL(stream, soft_cap, cap, *x, *y);
  });
}

moe_status moe_exp_forward(moe_stream stream, float bound, const moe_tensor* x, const moe_tensor* y, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::check_exponent(bound);
    moe::check_map(x, y);
    MOE_CALL(stream, exp_forward, bound, *x, *y);
  });
}

moe_status moe_exp_backward(moe_stream stream, float bound, const moe_tensor* x, const moe_tensor* dy,
                            const moe_tensor* dx, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::check_exponent(bound);
    moe::check_map_gradient(x, dy, dx);
    MOE_CALL(stream, exp_backward, bound, *x, *dy, *dx);
  });
}

moe_status moe_activation_forward(moe_stream stream, const moe_activation_config* activation, const moe_tensor* x,
                                  const moe_tensor* y, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const auto checked = moe::check_activation_shapes(stream, activation, x, "y", y);
    moe::check_written({{"y", y}}, {{"x", x}});
    MOE_CALL(stream, activation_forward, checked.activation, checked.x, checked.y);
  });
}

moe_status moe_activation_backward(moe_stream stream, const moe_activation_config* activation, const moe_tensor* x,
                                   const moe_tensor* dy, const moe_tensor* dx, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const auto checked = moe::check_activation_shapes(stream, activation, x, "dy", dy);
    const moe_tensor& gradient = moe::check_tensor("dx", dx, moe::kFloating, {checked.x.shape[0], checked.x.shape[1]});
    moe::check_written_or_same({"dx", dx}, {"x", x});
    moe::check_written({{"dx", dx}}, {{"dy", dy}});
    MOE_CALL(stream, activation_backward, checked.activation, checked.x, checked.y, gradient);
  });
}

moe_status moe_random_uniform(moe_stream stream, uint64_t seed, uint64_t offset, const moe_tensor* y,
                              MOE_HELD_IGNORED) {
  return moe::guard(
      __func__, [&] { MOE_CALL(stream, random_uniform, seed, offset, moe::check_elements("y", y, moe::kFloating)); });
}

moe_status moe_random_normal(moe_stream stream, uint64_t seed, uint64_t offset, float mean, float deviation,
                             const moe_tensor* y, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::check_finite("mean", mean);
    moe::check_finite("deviation", deviation);
    MOE_CALL(stream, random_normal, seed, offset, mean, deviation, moe::check_elements("y", y, moe::kFloating));
  });
}

moe_status moe_random_gumbel(moe_stream stream, uint64_t seed, uint64_t offset, const moe_tensor* y, MOE_HELD_IGNORED) {
  return moe::guard(
      __func__, [&] { MOE_CALL(stream, random_gumbel, seed, offset, moe::check_elements("y", y, moe::kFloating)); });
}

moe_status moe_jitter(moe_stream stream, uint64_t seed, uint64_t offset, float epsilon, const moe_tensor* x,
                      const moe_tensor* y, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    if (!(epsilon >= 0 && epsilon < 1)) moe::invalid("epsilon is ", epsilon, ", expected at least 0 and below 1");
    moe::check_map(x, y);
    MOE_CALL(stream, jitter, seed, offset, epsilon, *x, *y);
  });
}
