#include "core/weights.h"

#include <algorithm>

#include "core/device.h"

namespace moe {
namespace {

void check_weight_dtype(int32_t dtype) {
  if (dtype != MOE_FLOAT32 && dtype != MOE_BFLOAT16 && !in_blocks(dtype)) {
    invalid("dtype is ", dtype_name(dtype), " (", dtype, "), expected float32, bfloat16 or blocks");
  }
}

}  // namespace

const moe_tensor& check_weights(const char* name, const moe_tensor* weights, int32_t rank, const Device& device) {
  check_tensor(name, weights);
  check_weight_dtype(weights->dtype);
  if (in_blocks(weights->dtype) && weights->layout == MOE_ROW_MAJOR) {
    invalid(name, " is ", dtype_name(weights->dtype), " and row-major, expected it packed (moe_gemm_pack)");
  }
  if (weights->rank != rank) invalid(name, " has shape ", shape_text(*weights), ", expected rank ", rank);
  if (weights->layout == MOE_PACKED_EACH) invalid(name, " is packed one by one, which only experts' weights are");
  if (weights->layout == MOE_ROW_MAJOR) return *weights;
  const int64_t needed = packed_bytes(device, weights->dtype, rank, weights->shape);
  if (weights->bytes < needed) {
    invalid(name, " of shape ", shape_text(*weights), " needs ", needed, " bytes packed, its memory has ",
            weights->bytes);
  }
  if (needed > 0 && weights->data == nullptr) invalid(name, " has null data");
  if (reinterpret_cast<uintptr_t>(weights->data) % 4 != 0) invalid(name, "'s data is not aligned to 4 bytes");
  return *weights;
}

const moe_tensor& check_expert_weights(const char* name, const moe_tensor* weights, const Device& device) {
  if (check_tensor(name, weights).layout != MOE_PACKED_EACH) return check_weights(name, weights, 3, device);
  if (weights->rank != 3) invalid(name, " has shape ", shape_text(*weights), ", expected rank 3");
  const int64_t experts = weights->shape[0], found = weights->bytes / int64_t{sizeof(moe_tensor)};
  if (found < experts) invalid(name, "'s memory has ", found, " descriptors, expected ", experts);
  for (int64_t e = 0; e < experts; ++e) {
    const moe_tensor& matrix = check_weights(name, &check_pointer(name, matrices_of(*weights)) + e, 2, device);
    if (matrix.layout == MOE_ROW_MAJOR || !std::equal(matrix.shape, matrix.shape + 2, weights->shape + 1)) {
      invalid(name, "[", e, "] is ", matrix.layout == MOE_ROW_MAJOR ? "row-major" : "packed", " of shape ",
              shape_text(matrix), ", expected packed of ", shape_text(weights->shape + 1, 2));
    }
  }
  return *weights;
}

int64_t packed_bytes(const Device& device, int32_t dtype, int32_t rank, const int64_t* shape) {
  check_weight_dtype(dtype);
  if (rank != 2 && rank != 3) invalid("packed weights have rank ", rank, ", expected 2 or 3");
  check_pointer("shape", shape);
  for (int32_t i = 0; i < rank; ++i) {
    if (shape[i] < 0) invalid("shape[", i, "] is ", shape[i], ", expected 0 or more");
  }
  const int64_t block = block_of(dtype).elements;
  if (shape[rank - 1] % block != 0) {
    invalid("shape ", shape_text(shape, rank), " has rows of ", shape[rank - 1], ", expected whole blocks of ", block);
  }
  const int64_t bytes = device.kernels().gemm_packed_bytes(static_cast<moe_dtype>(dtype), rank, shape);
  if (bytes < 0) {
    invalid("packed weights of shape ", shape_text(shape, rank), " overflow the address space");
  }
  return bytes;
}

}  // namespace moe
