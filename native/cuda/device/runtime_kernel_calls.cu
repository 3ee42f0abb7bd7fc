// Decides which calls run a runtime kernel, and launches it. All other calls run the ahead-of-time kernels (`own`).
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='RuntimeKernel*:Emulated*'.
#include <algorithm>
#include <tuple>

#include "core/check.h"
#include "cuda/device/host_tensor.h"
#include "cuda/device/launcher.h"
#include "cuda/device/runtime_kernels.h"
#include "cuda/gate/checks.h"
#include "cuda/runtime_kernel/activation.h"
#include "cuda/runtime_kernel/expert.h"
#include "cuda/runtime_kernel/gate.h"

namespace moe::cuda {
namespace {

bool is_custom(const moe_activation_config& activation) { return activation.kind == MOE_CUSTOM_ACTIVATION; }

Kernels own;  // the ahead-of-time kernels; written once, before the first call

const RuntimeFunctions* find(Stream& stream, const moe_runtime_kernel& kernel) {
  return static_cast<CudaStream&>(stream).gpu().runtime_kernels().find(kernel);
}

// Launches a runtime kernel of this signature.
template <typename... Parameters>
struct Run;
template <typename... Parameters>
struct Run<void(Parameters...)> {
  static void kernel(const Launcher& launch, cudaKernel_t kernel, const char* name, dim3 grid, dim3 block,
                     Parameters... parameters) {
    if (grid.x == 0 || grid.y == 0) return;
    void* pointers[] = {&parameters...};
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = block;
    config.stream = launch.handle();
    launch.stream().launched(cudaLaunchKernelExC(&config, reinterpret_cast<const void*>(kernel), pointers), name);
  }
};

template <typename Value>
Value* pointer(OptionalTensor tensor) {
  return tensor == nullptr ? nullptr : static_cast<Value*>(tensor->data);
}

void gate_forward(Stream& stream, const moe_gate_config& config, const moe_gate_inputs& in, const moe_routes& out) {
  const int64_t tokens = in.logits->shape[0], experts = in.logits->shape[1];
  const bool fits = tokens <= runtime_kernel::kGateTokens && config.drop_policy == MOE_DROPLESS &&
                    in.noise == nullptr && in.priority == nullptr && config.chosen_groups == config.groups;
  moe_runtime_kernel wanted{};
  wanted.kind = MOE_RUNTIME_GATE;
  wanted.experts = static_cast<int32_t>(experts);
  wanted.top_k = config.top_k;
  wanted.score = config.score;
  wanted.queue_order = config.queue_order;
  wanted.chosen = config.normalization == MOE_RAW ? 0 : 1;  // dropless: MOE_SURVIVORS is MOE_CHOSEN
  const RuntimeFunctions* functions = fits ? find(stream, wanted) : nullptr;
  if (functions == nullptr) return own.gate_forward(stream, config, in, out);
  const Launcher launch(stream, "runtime kernel gate");
  keep_gate_checks(launch.stream(), in);
  const GateTokens tokens_in{config,
                             tokens,
                             static_cast<int>(experts),
                             pointer<float>(in.logits),
                             pointer<uint8_t>(in.used),
                             pointer<float>(in.bias),
                             nullptr,
                             nullptr};
  const runtime_kernel::GateOutputs tables{
      pointer<float>(out.scores), pointer<int>(out.expert),   pointer<int>(out.position),
      pointer<float>(out.weight), pointer<int>(out.choice),   pointer<int>(out.counts),
      pointer<int>(out.offsets),  pointer<float>(out.losses), launch.refusal().flag()};
  Run<runtime_kernel::Gate>::kernel(launch, (*functions)[0], "runtime kernel gate", 1, runtime_kernel::kGateThreads,
                                    tokens_in, tables);
}

runtime_kernel::Elements elements(OptionalTensor tensor) {
  return tensor == nullptr ? runtime_kernel::Elements{}
                           : runtime_kernel::Elements{tensor->data, tensor->dtype == MOE_BFLOAT16 ? 1 : 0};
}

dim3 activation_blocks(const Launcher& launch, int64_t count) {
  return launch.blocks(count, runtime_kernel::kActivationThreads);
}

const RuntimeFunctions& custom_functions(Stream& stream) {
  const RuntimeFunctions* functions = static_cast<CudaStream&>(stream).gpu().runtime_kernels().custom_activation();
  if (functions == nullptr) fail(MOE_INTERNAL, "the checks passed a custom activation that is not installed");
  return *functions;
}

void custom_forward(Stream& stream, Tensor x, OptionalTensor saved, Tensor y, runtime_kernel::Extent extent) {
  const Launcher launch(stream, "custom activation");
  Run<runtime_kernel::CustomForward>::kernel(
      launch, custom_functions(stream)[0], "custom activation", activation_blocks(launch, extent.count),
      runtime_kernel::kActivationThreads, elements(&x), elements(saved), elements(&y), extent);
}

// Scratch memory for the preactivation of y; float32, so that it is not rounded more than inside a fused kernel.
moe_tensor preactivation_of(const Launcher& launch, Tensor y) {
  const int64_t count = element_count(y);
  moe_tensor scratch = y;
  scratch.dtype = MOE_FLOAT32;
  scratch.bytes = count * static_cast<int64_t>(sizeof(float));
  scratch.data = launch.take<float>(count);
  return scratch;
}

moe_epilogue without_activation(const moe_epilogue& epilogue) {
  moe_epilogue sums_only = kNoEpilogue;
  sums_only.bias = epilogue.bias;
  sums_only.addend = epilogue.addend;
  return sums_only;
}

void activation_forward(Stream& stream, const moe_activation_config& activation, Tensor x, Tensor y) {
  if (!is_custom(activation)) return own.activation_forward(stream, activation, x, y);
  custom_forward(stream, x, nullptr, y, {element_count(y), nullptr, 0});
}

void activation_backward(Stream& stream, const moe_activation_config& activation, Tensor x, Tensor dy, Tensor dx) {
  if (!is_custom(activation)) return own.activation_backward(stream, activation, x, dy, dx);
  const Launcher launch(stream, "custom activation's derivative");
  const int64_t count = element_count(dx);
  Run<runtime_kernel::CustomBackward>::kernel(launch, custom_functions(stream)[1], "custom activation's derivative",
                                              activation_blocks(launch, count), runtime_kernel::kActivationThreads,
                                              elements(&x), elements(&dy), elements(&dx), {count, nullptr, 0});
}

void gemm(Stream& stream, const moe_gemm_config& config, Tensor a, Tensor b, Tensor c, const moe_epilogue& epilogue) {
  if (!is_custom(*epilogue.activation)) return own.gemm(stream, config, a, b, c, epilogue);
  const Launcher launch(stream);
  const moe_tensor before = preactivation_of(launch, c);
  own.gemm(stream, config, a, b, before, without_activation(epilogue));
  custom_forward(stream, before, epilogue.preactivation, c, {element_count(c), nullptr, 0});
}

// True if the runtime kernel `expert` fits this call: operands aligned to 16 bytes, sizes below 2^31. The number of
// rows does not count, so that a row has the same bits in every call. Packed weights are row-major on this backend
// (cuda/gemm/gemm.cu).
bool fits_expert_kernel(Tensor x, Tensor weights, Tensor y, OptionalTensor preactivation) {
  return weights.layout != MOE_PACKED_EACH && x.shape[0] <= INT32_MAX && weights.shape[0] < 65536 &&
         weights.shape[1] <= INT32_MAX && reinterpret_cast<uintptr_t>(x.data) % 16 == 0 &&
         reinterpret_cast<uintptr_t>(weights.data) % 16 == 0 &&
         (preactivation == nullptr || preactivation->dtype == y.dtype);
}

void expert_forward(Stream& stream, Tensor x, Tensor offsets, Tensor weights, Tensor y, const moe_epilogue& epilogue) {
  moe_runtime_kernel wanted{};
  wanted.kind = MOE_RUNTIME_EXPERT;
  wanted.activation = epilogue.activation->kind;
  wanted.x_dtype = x.dtype;
  wanted.weights_dtype = weights.dtype;
  wanted.y_dtype = y.dtype;
  wanted.inner = weights.shape[2];
  if (is_plain(*epilogue.activation) && fits_expert_kernel(x, weights, y, epilogue.preactivation)) {
    if (const RuntimeFunctions* functions = find(stream, wanted)) {
      const Launcher launch(stream, "runtime kernel expert");
      launch.stream().keep_checks(
          [offsets = offsets, rows = x.shape[0]] { check_offset_values(HostTensor(offsets), rows); });
      const auto columns = static_cast<int>(weights.shape[1]);
      const runtime_kernel::ExpertArguments arguments{x.data,
                                                      pointer<int>(&offsets),
                                                      weights.data,
                                                      pointer<float>(epilogue.bias),
                                                      y.data,
                                                      pointer<void>(epilogue.preactivation),
                                                      elements(epilogue.addend),
                                                      static_cast<int>(x.shape[0]),
                                                      columns,
                                                      static_cast<int>(weights.shape[0]),
                                                      launch.refusal().flag()};
      const int64_t hit = std::min(weights.shape[0], std::max<int64_t>(x.shape[0], 1));  // at most; one checks offsets
      constexpr int kBlockColumns = runtime_kernel::kExpertThreads / 32 * runtime_kernel::kWarpColumns;
      const dim3 grid(static_cast<unsigned>(ceil_div(columns, kBlockColumns)), static_cast<unsigned>(hit));
      return Run<runtime_kernel::Expert>::kernel(launch, (*functions)[0], "runtime kernel expert", grid,
                                                 runtime_kernel::kExpertThreads, arguments);
    }
  }
  if (!is_custom(*epilogue.activation)) return own.expert_forward(stream, x, offsets, weights, y, epilogue);
  const Launcher launch(stream);
  const moe_tensor before = preactivation_of(launch, y);
  own.expert_forward(stream, x, offsets, weights, before, without_activation(epilogue));
  custom_forward(stream, before, epilogue.preactivation, y,
                 {element_count(y), pointer<int>(&offsets) + weights.shape[0], weights.shape[1]});
}

}  // namespace

Kernels with_runtime_kernels(const Kernels& kernels) {
  own = kernels;
  Kernels all = kernels;
  all.gate_forward = gate_forward;
  all.activation_forward = activation_forward;
  all.activation_backward = activation_backward;
  all.gemm = gemm;
  all.expert_forward = expert_forward;
  return all;
}

}  // namespace moe::cuda
