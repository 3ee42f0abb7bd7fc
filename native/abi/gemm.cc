#include "moe/gemm.h"

#include "core/check.h"
#include "core/weights.h"

moe_status moe_gemm(moe_stream stream, int32_t transpose_a, int32_t transpose_b, int32_t activation, int32_t accumulate,
                    const moe_tensor* a, const moe_tensor* b, const moe_tensor* bias, const moe_tensor* c,
                    const moe_tensor* preactivation, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const auto device = moe::find_stream(stream)->shared_device();
    moe::check_flag("transpose_a", transpose_a);
    moe::check_flag("transpose_b", transpose_b);
    moe::check_flag("accumulate", accumulate);
    const moe_activation function = moe::check_activation(activation, *device);
    const moe_tensor& left = moe::check_tensor("a", a, moe::kFloating, {moe::kAny, moe::kAny});
    const moe_tensor& right = moe::check_weights("b", b, 2, *device);
    const bool lines_first = transpose_b == 1 || right.layout == MOE_PACKED;
    const int64_t rows = left.shape[transpose_a], columns = right.shape[lines_first ? 0 : 1];
    const int64_t inner = left.shape[1 - transpose_a], other_inner = right.shape[lines_first ? 1 : 0];
    if (inner != other_inner) {
      moe::invalid("op(a) has ", inner, " columns but op(b) has ", other_inner, " rows");
    }
    if (accumulate == 1 && (bias != nullptr || preactivation != nullptr || function != MOE_IDENTITY)) {
      moe::invalid("accumulate excludes bias, activation and preactivation");
    }
    moe::check_optional("bias", bias, moe::kFloat32Only, {columns});
    const moe_tensor& output =
        moe::check_tensor("c", c, moe::kFloating, {rows, moe::activated_columns(function, columns)});
    moe::check_optional("preactivation", preactivation, moe::kFloating, {rows, columns});
    moe::check_written({{"c", c}, {"preactivation", preactivation}}, {{"a", a}, {"b", b}, {"bias", bias}});
    MOE_LAUNCH(stream, gemm, transpose_a == 1, lines_first, function, accumulate == 1, left, right, bias, output,
               preactivation);
  });
}

moe_status moe_column_sum(moe_stream stream, const moe_tensor* x, const moe_tensor* y, MOE_HELD_IGNORED) {
  return moe::guard(__func__, [&] {
    const moe_tensor& input = moe::check_tensor("x", x, moe::kFloating, {moe::kAny, moe::kAny});
    const moe_tensor& output = moe::check_tensor("y", y, moe::kFloat32Only, {input.shape[1]});
    moe::check_written({{"y", y}}, {{"x", x}});
    MOE_LAUNCH(stream, column_sum, input, output);
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
    const moe_tensor& from = moe::check_weights("weights", weights, weights->rank, *device);
    if (from.layout != MOE_ROW_MAJOR) moe::invalid("weights is packed, expected row-major");
    const moe_tensor& to = moe::check_weights("packed", packed, weights->rank, *device);
    if (to.layout != MOE_PACKED) moe::invalid("packed is row-major, expected layout MOE_PACKED");
    if (!moe::same_shape(from, to)) {
      moe::invalid("packed has shape ", moe::shape_text(to), ", expected ", moe::shape_text(from));
    }
    moe::check_written({{"packed", packed}}, {{"weights", weights}});
    MOE_LAUNCH(stream, gemm_pack, from, to);
  });
}
