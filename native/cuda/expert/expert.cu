// The experts' grouped GEMM. Formulas and shapes: cpu/expert.cc. Each expert's rows are one group of a Product
// (cuda/gemm/product.h). Only kernels read the offsets, so a graph can capture the call.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Expert*'.
// Time: ./panamoe bench grouped-gemm --device cuda.
#include "core/check.h"
#include "core/weights.h"
#include "cuda/device/host_tensor.h"
#include "cuda/device/kernels.h"
#include "cuda/elementwise/column_sum.h"
#include "cuda/gemm/product.h"

namespace moe::cuda {
namespace {

void keep_offsets_check(const Launcher& launch, Tensor offsets, int64_t rows) {
  launch.stream().keep_checks([=] { check_offset_values(HostTensor(offsets), rows); });
}

// Experts' weights from expert `first` on, as far as they are of one dtype and adjacent in memory.
moe_tensor stack_from(Tensor weights, int64_t first) {
  if (weights.layout != MOE_PACKED_EACH || weights.shape[0] == 0) return weights;
  const moe_tensor* each = matrices_of(weights) + first;
  const int64_t bytes = gemm_packed_bytes(static_cast<moe_dtype>(each->dtype), 2, each->shape);
  moe_tensor stack = weights;
  stack.data = each->data;
  stack.dtype = each->dtype;
  int64_t& count = stack.shape[0] = 1;
  const auto follows = [&] {
    return each[count].dtype == each->dtype && each[count].data == static_cast<char*>(each->data) + count * bytes;
  };
  while (first + count < weights.shape[0] && follows()) ++count;
  return stack;
}

}  // namespace

void expert_forward(Stream& stream, Tensor x, Tensor offsets, Tensor weights, Tensor y, const moe_epilogue& epilogue) {
  Launcher launch(stream);
  keep_offsets_check(launch, offsets, x.shape[0]);
  int64_t first = 0;
  do {
    const moe_tensor stack = stack_from(weights, first);
    run_product(launch,
                {.groups = Groups::kOfRows,
                 .count = size_of("experts", stack.shape[0]),
                 .offsets = data<int32_t>(offsets) + first,
                 .rows = size_of("rows", x.shape[0]),
                 .columns = size_of("columns", weights.shape[1]),
                 .inner = size_of("the inner dimension", weights.shape[2]),
                 .a = matrix_of(x, false),
                 .b = matrix_of(stack, false),
                 .b_elements = weights.shape[1] * weights.shape[2],
                 .bias = epilogue.bias == nullptr ? nullptr : data<float>(epilogue.bias) + first * weights.shape[1],
                 .activation = epilogue.activation->kind,
                 .gating = Gating(*epilogue.activation),
                 .accumulate = false,
                 .c = output_of(&y),
                 .preactivation = output_of(epilogue.preactivation),
                 .addend = output_of(epilogue.addend),
                 .continues = first > 0});
    first += stack.shape[0];
  } while (first < weights.shape[0]);
}

void expert_backward_input(Stream& stream, Tensor dy, Tensor offsets, Tensor weights, Tensor dx) {
  Launcher launch(stream);
  keep_offsets_check(launch, offsets, dy.shape[0]);
  int64_t first = 0;
  do {
    const moe_tensor stack = stack_from(weights, first);
    run_product(launch, {.groups = Groups::kOfRows,
                         .count = size_of("experts", stack.shape[0]),
                         .offsets = data<int32_t>(offsets) + first,
                         .rows = size_of("rows", dy.shape[0]),
                         .columns = size_of("columns", weights.shape[2]),
                         .inner = size_of("the inner dimension", weights.shape[1]),
                         .a = matrix_of(dy, false),
                         .b = matrix_of(stack, true),
                         .b_elements = weights.shape[1] * weights.shape[2],
                         .bias = nullptr,
                         .activation = MOE_IDENTITY,
                         .gating = Gating(kIdentity),
                         .accumulate = false,
                         .c = output_of(&dx),
                         .continues = first > 0});
    first += stack.shape[0];
  } while (first < weights.shape[0]);
}

void expert_backward_weights(Stream& stream, bool accumulate, Tensor dy, Tensor x, Tensor offsets, Tensor dweights,
                             OptionalTensor dbias) {
  Launcher launch(stream);
  keep_offsets_check(launch, offsets, dy.shape[0]);
  run_product(launch, {.groups = Groups::kOfInner,
                       .count = size_of("experts", dweights.shape[0]),
                       .offsets = data<int32_t>(offsets),
                       .rows = size_of("rows", dweights.shape[1]),
                       .columns = size_of("columns", dweights.shape[2]),
                       .inner = size_of("the inner dimension", dy.shape[0]),
                       .a = matrix_of(dy, true),
                       .b = matrix_of(x, true),
                       .b_elements = 0,
                       .bias = nullptr,
                       .activation = MOE_IDENTITY,
                       .gating = Gating(kIdentity),
                       .accumulate = accumulate,
                       .c = output_of(&dweights)});
  if (dbias != nullptr) add_column_sums(launch, dy, data<int32_t>(offsets), dweights.shape[0], data<float>(dbias));
}

}  // namespace moe::cuda
