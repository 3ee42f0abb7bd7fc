// The entry points of GEMM on CUDA: c [M, N] = activation(op(a) op(b) + bias + addend), or c += op(a) op(b). Packed
// weights are row-major on this backend: packing is a cast, or a copy of blocks. Design: docs/kernels-cuda.md. Test:
// PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Gemm*'. Time: ./panamoe bench train-step --device cuda.
#include "core/weights.h"
#include "cuda/device/kernels.h"
#include "cuda/gemm/product.h"

namespace moe::cuda {
namespace {

constexpr int64_t kMostSize = INT32_MAX - 1024;  // indices of a tile past the matrix must not overflow

}  // namespace

int32_t size_of(const char* what, int64_t size) {
  if (size > kMostSize) invalid(what, " is ", size, ", the kernels take up to ", kMostSize);
  return static_cast<int32_t>(size);
}

Matrix matrix_of(Tensor matrix, bool transposed) {
  const int64_t width = matrix.shape[matrix.rank - 1];
  return {matrix.data, matrix.dtype, width, transposed, in_vectors(matrix, width)};
}

Output output_of(OptionalTensor output) {
  if (output == nullptr) return {};
  const int64_t stride = output->shape[output->rank - 1];
  const auto four = static_cast<uintptr_t>(4 * dtype_bytes(output->dtype));
  const bool aligned = reinterpret_cast<uintptr_t>(output->data) % four == 0;
  return {output->data, output->dtype, stride, aligned && stride % 4 == 0};
}

void run_product(Launcher& launch, const Product& product) {
  Product checked = product;
  if (product.gating.gated) {  // the up half must be aligned like the gate half
    const int64_t half = product.columns / 2;
    checked.preactivation.quads &= half % 4 == 0;
    checked.addend.quads &= half % 4 == 0;
    if (product.b.transposed) checked.b.aligned &= half * dtype_bytes(product.b.dtype) % 16 == 0;
  }
  // The kernel family depends on architecture, dtypes, layer and alignment, never on the number of rows: a row's bits
  // must not depend on the other rows. sm_100 uses run_tensor_product's mma.sync; a tcgen05 family belongs next to
  // run_hopper_product.
  if (in_blocks(product.b.dtype)) {
    product.b.transposed ? run_decoded_product(launch, checked) : run_block_product(launch, checked);
  } else if (product.a.dtype == MOE_BFLOAT16 && product.b.dtype == MOE_BFLOAT16) {
    if (!run_hopper_product(launch, checked)) run_tensor_product(launch, checked);
  } else if (is_skinny(product)) {
    run_skinny_product(launch, checked);
  } else {
    run_float_product(launch, checked);
  }
}

void gemm(Stream& stream, const moe_gemm_config& config, Tensor a, Tensor b, Tensor c, const moe_epilogue& epilogue) {
  Launcher launch(stream);
  const bool transpose_a = config.transpose_a == 1, lines_first = config.transpose_b == 1;
  run_product(launch, {.groups = Groups::kOne,
                       .count = 1,
                       .offsets = nullptr,
                       .rows = size_of("rows", a.shape[transpose_a ? 1 : 0]),
                       .columns = size_of("columns", b.shape[lines_first ? 0 : 1]),
                       .inner = size_of("the inner dimension", a.shape[transpose_a ? 0 : 1]),
                       .a = matrix_of(a, transpose_a),
                       .b = matrix_of(b, !lines_first),
                       .b_elements = 0,
                       .bias = data<float>(epilogue.bias),
                       .activation = epilogue.activation->kind,
                       .gating = Gating(*epilogue.activation),
                       .accumulate = config.accumulate == 1,
                       .c = output_of(&c),
                       .preactivation = output_of(epilogue.preactivation),
                       .addend = output_of(epilogue.addend)});
}

int64_t gemm_packed_bytes(moe_dtype dtype, int rank, const int64_t* shape) {
  const BlockFormat block = block_of(dtype);
  return product_or_overflow(
      {rank == 3 ? shape[0] : 1, shape[rank - 2], shape[rank - 1] / block.elements, block.bytes});
}

void gemm_pack(Stream& stream, Tensor weights, Tensor packed) {
  in_blocks(weights.dtype) ? copy(stream, weights.data, tensor_bytes(weights), packed.data)
                           : cast(stream, weights, packed);
}

}  // namespace moe::cuda
