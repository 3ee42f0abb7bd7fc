#include "moe/expert.h"

#include "core/weights.h"

namespace moe {
namespace {

const moe_tensor& check_offsets(const moe_tensor* offsets, int64_t experts) {
  return check_tensor("offsets", offsets, kInt32Only, {experts + 1});
}

}  // namespace
}  // namespace moe

moe_status moe_expert_forward(moe_stream stream, const moe_tensor* x, const moe_tensor* offsets,
                              const moe_tensor* weights, const moe_tensor* y, const moe_epilogue* epilogue,
                              MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const auto device = moe::find_stream(stream)->shared_device();
    moe_activation_config activation;
    const moe_epilogue end = moe::check_epilogue(epilogue, activation, *device);
    const moe_tensor& matrices = moe::check_expert_weights("weights", weights, *device);
    const int64_t experts = matrices.shape[0], columns = matrices.shape[1];
    const moe_tensor& input = moe::check_tensor("x", x, moe::kFloating, {moe::kAny, matrices.shape[2]});
    const int64_t rows = input.shape[0];
    const moe_tensor& groups = moe::check_offsets(offsets, experts);
    moe::check_optional("bias", end.bias, moe::kFloat32Only, {experts, columns});
    const moe_tensor& output =
        moe::check_tensor("y", y, moe::kFloating, {rows, moe::activated_columns(activation, columns)});
    moe::check_optional("preactivation", end.preactivation, moe::kFloating, {rows, columns});
    moe::check_optional("addend", end.addend, moe::kFloating, {rows, columns});
    moe::check_written(
        {{"y", y}, {"preactivation", end.preactivation}},
        {{"x", x}, {"offsets", offsets}, {"weights", weights}, {"bias", end.bias}, {"addend", end.addend}});
    for (int64_t e = 0; matrices.layout == MOE_PACKED_EACH && e < experts; ++e) {
      moe::check_written({{"y", y}, {"preactivation", end.preactivation}},
                         {{"weights", moe::matrices_of(matrices) + e}});
    }
    MOE_CALL(stream, expert_forward, input, groups, matrices, output, end);
  });
}

moe_status moe_expert_backward_input(moe_stream stream, const moe_tensor* dy, const moe_tensor* offsets,
                                     const moe_tensor* weights, const moe_tensor* dx, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const auto device = moe::find_stream(stream)->shared_device();
    const moe_tensor& matrices = moe::check_expert_weights("weights", weights, *device);
    const moe_tensor& gradient = moe::check_tensor("dy", dy, moe::kFloating, {moe::kAny, matrices.shape[1]});
    const moe_tensor& groups = moe::check_offsets(offsets, matrices.shape[0]);
    const moe_tensor& output = moe::check_tensor("dx", dx, moe::kFloating, {gradient.shape[0], matrices.shape[2]});
    moe::check_written({{"dx", dx}}, {{"dy", dy}, {"offsets", offsets}, {"weights", weights}});
    for (int64_t e = 0; matrices.layout == MOE_PACKED_EACH && e < matrices.shape[0]; ++e) {
      moe::check_written({{"dx", dx}}, {{"weights", moe::matrices_of(matrices) + e}});
    }
    MOE_CALL(stream, expert_backward_input, gradient, groups, matrices, output);
  });
}

moe_status moe_expert_backward_weights(moe_stream stream, int32_t accumulate, const moe_tensor* dy, const moe_tensor* x,
                                       const moe_tensor* offsets, const moe_tensor* dweights, const moe_tensor* dbias,
                                       MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::check_flag("accumulate", accumulate);
    const moe_tensor& output =
        moe::check_tensor("dweights", dweights, moe::kFloating, {moe::kAny, moe::kAny, moe::kAny});
    const int64_t experts = output.shape[0], columns = output.shape[1];
    const moe_tensor& gradient = moe::check_tensor("dy", dy, moe::kFloating, {moe::kAny, columns});
    const moe_tensor& input = moe::check_tensor("x", x, moe::kFloating, {gradient.shape[0], output.shape[2]});
    const moe_tensor& groups = moe::check_offsets(offsets, experts);
    moe::check_optional("dbias", dbias, moe::kFloat32Only, {experts, columns});
    moe::check_written({{"dweights", dweights}, {"dbias", dbias}}, {{"dy", dy}, {"x", x}, {"offsets", offsets}});
    MOE_CALL(stream, expert_backward_weights, accumulate == 1, gradient, input, groups, output, dbias);
  });
}
