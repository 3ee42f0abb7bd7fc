#include "moe/runtime_kernel.h"

#include <algorithm>

#include "core/check.h"
#include "core/routes.h"

namespace moe {
namespace {

void check_field(const char* name, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return;
  if (low == high) invalid("kernel.", name, " is ", value, ", expected ", low);
  invalid("kernel.", name, " is ", value, ", expected ", low, " to ", high);
}

void check_floating(const char* name, int32_t dtype) {
  if (dtype != MOE_FLOAT32 && dtype != MOE_BFLOAT16) {
    invalid("kernel.", name, " is ", dtype_name(dtype), " (", dtype, "), expected float32 or bfloat16");
  }
}

// Refuses fields that do not belong to the kernel's kind: such a kernel would never fit a call.
void check_unused(const moe_runtime_kernel& kernel) {
  constexpr int32_t kNone = -1;
  const struct {
    const char* name;
    int64_t value;
    int32_t kind;
  } fields[] = {{"experts", kernel.experts, MOE_RUNTIME_GATE},
                {"top_k", kernel.top_k, MOE_RUNTIME_GATE},
                {"score", kernel.score, MOE_RUNTIME_GATE},
                {"queue_order", kernel.queue_order, MOE_RUNTIME_GATE},
                {"chosen", kernel.chosen, MOE_RUNTIME_GATE},
                {"activation", kernel.activation, MOE_RUNTIME_EXPERT},
                {"x_dtype", kernel.x_dtype, MOE_RUNTIME_EXPERT},
                {"weights_dtype", kernel.weights_dtype, MOE_RUNTIME_EXPERT},
                {"y_dtype", kernel.y_dtype, MOE_RUNTIME_EXPERT},
                {"inner", kernel.inner, MOE_RUNTIME_EXPERT},
                {"reserved", kernel.reserved, kNone}};
  for (const auto& [name, value, kind] : fields) {
    if (kind != kernel.kind) check_field(name, value, 0, 0);
  }
}

void check_gate(const moe_runtime_kernel& kernel) {
  check_field("experts", kernel.experts, 1, kMostExperts);
  check_field("top_k", kernel.top_k, 1, std::min<int64_t>(kernel.experts, kMostChoices));
  check_field("score", kernel.score, 0, kLastScore);
  check_field("queue_order", kernel.queue_order, MOE_TOKEN_MAJOR, MOE_CHOICE_MAJOR);
  check_field("chosen", kernel.chosen, 0, 1);
}

void check_expert(const moe_runtime_kernel& kernel, const Device& device) {
  moe_activation_config plain = kIdentity;
  plain.kind = kernel.activation;
  check_activation(&plain, device);
  check_floating("x_dtype", kernel.x_dtype);
  check_floating("weights_dtype", kernel.weights_dtype);
  check_floating("y_dtype", kernel.y_dtype);
  check_field("inner", kernel.inner, 8, INT32_MAX);
  if (kernel.inner % 8 != 0) invalid("kernel.inner is ", kernel.inner, ", expected a multiple of 8");
}

}  // namespace

}  // namespace moe

moe_status moe_runtime_kernel_install(moe_device device, const moe_runtime_kernel* kernel, const void* image,
                                      int64_t image_bytes) {
  return moe::guard(__func__, [&] {
    const auto on = moe::find_device(device);
    moe::check_struct("kernel", kernel);
    switch (kernel->kind) {
      case MOE_RUNTIME_GATE: moe::check_gate(*kernel); break;
      case MOE_RUNTIME_EXPERT: moe::check_expert(*kernel, *on); break;
      case MOE_RUNTIME_ACTIVATION: break;
      default: moe::check_field("kind", kernel->kind, MOE_RUNTIME_GATE, MOE_RUNTIME_ACTIVATION);
    }
    moe::check_unused(*kernel);
    moe::check_pointer("image", static_cast<const char*>(image));
    if (image_bytes < 1) moe::invalid("image_bytes is ", image_bytes, ", expected 1 or more");
    on->install(*kernel, image, image_bytes);
  });
}
