#include "moe/gemm.h"

#include "core/check.h"
#include "core/weights.h"

moe_status moe_gemm(moe_stream stream, const moe_gemm_config* config, const moe_tensor* a, const moe_tensor* b,
                    const moe_tensor* c, const moe_epilogue* epilogue, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const auto device = moe::find_stream(stream)->shared_device();
    const moe_gemm_config form = moe::check_struct("config", config);
    moe::check_flag("config.transpose_a", form.transpose_a);
    moe::check_flag("config.transpose_b", form.transpose_b);
    moe::check_flag("config.accumulate", form.accumulate);
    moe_activation_config activation;
    const moe_epilogue end = moe::check_epilogue(epilogue, activation, *device);
    const moe_tensor& left = moe::check_tensor("a", a, moe::kFloating, {moe::kAny, moe::kAny});
    const moe_tensor& right = moe::check_weights("b", b, 2, *device);
    const int64_t rows = left.shape[form.transpose_a], columns = right.shape[1 - form.transpose_b];
    const int64_t inner = left.shape[1 - form.transpose_a], other_inner = right.shape[form.transpose_b];
    if (inner != other_inner) {
      moe::invalid("op(a) has ", inner, " columns but op(b) has ", other_inner, " rows");
    }
    const bool sums_only = form.accumulate == 1, unpacks = right.layout != MOE_ROW_MAJOR && form.transpose_b == 0;
    if ((sums_only || unpacks) && (end.bias != nullptr || end.addend != nullptr || end.preactivation != nullptr ||
                                   activation.kind != MOE_IDENTITY)) {
      moe::invalid(sums_only ? "accumulate" : "packed b that is not transposed",
                   " excludes bias, addend, activation and preactivation");
    }
    moe::check_optional("bias", end.bias, moe::kFloat32Only, {columns});
    const moe_tensor& output =
        moe::check_tensor("c", c, moe::kFloating, {rows, moe::activated_columns(activation, columns)});
    moe::check_optional("preactivation", end.preactivation, moe::kFloating, {rows, columns});
    moe::check_optional("addend", end.addend, moe::kFloating, {rows, columns});
    moe::check_written({{"c", c}, {"preactivation", end.preactivation}},
                       {{"a", a}, {"b", b}, {"bias", end.bias}, {"addend", end.addend}});
    MOE_CALL(stream, gemm, form, left, right, output, end);
  });
}

moe_status moe_column_sum(moe_stream stream, const moe_tensor* x, const moe_tensor* y, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& input = moe::check_tensor("x", x, moe::kFloating, {moe::kAny, moe::kAny});
    const moe_tensor& output = moe::check_tensor("y", y, moe::kFloat32Only, {input.shape[1]});
    moe::check_written({{"y", y}}, {{"x", x}});
    MOE_CALL(stream, column_sum, input, output);
  });
}

moe_status moe_gemm_packed_bytes(moe_device device, int32_t dtype, int32_t rank, const int64_t* shape, int64_t* bytes) {
  return moe::guard(__func__, [&] {
    moe::check_pointer("bytes", bytes) = moe::packed_bytes(*moe::find_device(device), dtype, rank, shape);
  });
}

moe_status moe_gemm_pack(moe_stream stream, const moe_tensor* weights, const moe_tensor* packed, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    moe::check_tensor("weights", weights);
    if (weights->rank != 2 && weights->rank != 3) {
      moe::invalid("weights has shape ", moe::shape_text(*weights), ", expected rank 2 or 3");
    }
    const auto device = moe::find_stream(stream)->shared_device();
    if (weights->layout != MOE_ROW_MAJOR) moe::invalid("weights is packed, expected row-major");
    const moe_tensor& to = moe::check_weights("packed", packed, weights->rank, *device);
    const bool blocks = moe::in_blocks(to.dtype);
    if (blocks && weights->dtype != to.dtype) {
      moe::invalid("weights is ", moe::dtype_name(weights->dtype), ", expected ", moe::dtype_name(to.dtype),
                   " as packed");
    }
    const moe_tensor& from = blocks ? *weights : moe::check_weights("weights", weights, weights->rank, *device);
    if (to.layout == MOE_ROW_MAJOR) moe::invalid("packed is row-major, expected layout MOE_PACKED or MOE_PACKED_EXACT");
    if (!moe::same_shape(from, to)) {
      moe::invalid("packed has shape ", moe::shape_text(to), ", expected ", moe::shape_text(from));
    }
    moe::check_written({{"packed", packed}}, {{"weights", weights}});
    MOE_CALL(stream, gemm_pack, from, to);
  });
}
