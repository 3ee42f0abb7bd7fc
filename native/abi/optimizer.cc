#include "moe/optimizer.h"

#include "core/check.h"

namespace moe {
namespace {

void check_fraction(const char* name, float value) {
  if (!(value >= 0 && value < 1)) invalid(name, " is ", value, ", expected at least 0 and less than 1");
}

void check_not_negative(const char* name, float value) {
  check_finite(name, value);
  if (value < 0) invalid(name, " is ", value, ", expected 0 or more");
}

moe_adamw_config check_config(const moe_adamw_config* config) {
  const moe_adamw_config c = check_struct("config", config);
  check_not_negative("learning_rate", c.learning_rate);
  check_fraction("beta1", c.beta1);
  check_fraction("beta2", c.beta2);
  check_not_negative("epsilon", c.epsilon);
  check_not_negative("weight_decay", c.weight_decay);
  check_finite("gradient_scale", c.gradient_scale);
  if (c.step < 1) invalid("step is ", c.step, ", expected 1 or more");
  return c;
}

}  // namespace
}  // namespace moe

moe_status moe_adamw_step(moe_stream stream, const moe_adamw_config* config, const moe_tensor* parameter,
                          const moe_tensor* gradient, const moe_tensor* first_moment, const moe_tensor* second_moment,
                          const moe_tensor* copy, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_adamw_config own = moe::check_config(config);
    const moe_tensor& weights = moe::check_elements("parameter", parameter, moe::kFloat32Only);
    const int64_t count = moe::element_count(weights);
    const moe_tensor& slope = moe::check_elements("gradient", gradient, moe::kFloat32Only, count);
    const moe_tensor& first = moe::check_elements("first_moment", first_moment, moe::kFloat32Only, count);
    const moe_tensor& second = moe::check_elements("second_moment", second_moment, moe::kFloat32Only, count);
    if (copy != nullptr) {
      moe::check_elements("copy", copy, moe::kFloating, count);
      if (copy->dtype != MOE_BFLOAT16) moe::invalid("copy is float32, expected bfloat16");
    }
    moe::check_written(
        {{"parameter", parameter}, {"first_moment", first_moment}, {"second_moment", second_moment}, {"copy", copy}},
        {{"gradient", gradient}});
    MOE_LAUNCH(stream, adamw_step, own, weights, slope, first, second, copy);
  });
}

moe_status moe_square_sum(moe_stream stream, const moe_tensor* x, const moe_tensor* sum, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& values = moe::check_elements("x", x, moe::kFloating);
    const moe_tensor& total = moe::check_tensor("sum", sum, moe::kFloat32Only, {1});
    moe::check_written({{"sum", sum}}, {{"x", x}});
    MOE_LAUNCH(stream, square_sum, values, total);
  });
}
