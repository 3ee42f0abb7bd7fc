package panamoe.backend.abi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;
import panamoe.bindings.Moe;
import panamoe.bindings.moe_runtime_kernel;
import panamoe.tensor.DType;

/**
 * What a kernel was compiled for: the {@code moe_runtime_kernel} of the C ABI, whose words these
 * are.
 */
public record KernelDescription(
    int kind,
    int experts,
    int topK,
    int score,
    int queueOrder,
    int chosen,
    int activation,
    int x,
    int weights,
    int y,
    long inner) {

  /** {@code chosen}: weights are divided by the sum over the chosen. */
  public static KernelDescription gate(
      int experts, int topK, Score score, QueueOrder order, boolean chosen) {
    return new KernelDescription(
        Moe.MOE_RUNTIME_GATE(),
        experts,
        topK,
        score.ordinal(),
        order.ordinal(),
        chosen ? 1 : 0,
        0,
        0,
        0,
        0,
        0);
  }

  public static KernelDescription expert(
      long inner, Activation activation, DType x, DType weights, DType y) {
    return new KernelDescription(
        Moe.MOE_RUNTIME_EXPERT(),
        0,
        0,
        0,
        0,
        0,
        activation.kind().code(),
        x.code(),
        weights.code(),
        y.code(),
        inner);
  }

  public static KernelDescription customActivation() {
    return new KernelDescription(Moe.MOE_RUNTIME_ACTIVATION(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  }

  MemorySegment write(Arena arena) {
    MemorySegment kernel = moe_runtime_kernel.allocate(arena);
    moe_runtime_kernel.struct_size(kernel, (int) moe_runtime_kernel.sizeof());
    moe_runtime_kernel.kind(kernel, kind);
    moe_runtime_kernel.experts(kernel, experts);
    moe_runtime_kernel.top_k(kernel, topK);
    moe_runtime_kernel.score(kernel, score);
    moe_runtime_kernel.queue_order(kernel, queueOrder);
    moe_runtime_kernel.chosen(kernel, chosen);
    moe_runtime_kernel.activation(kernel, activation);
    moe_runtime_kernel.x_dtype(kernel, x);
    moe_runtime_kernel.weights_dtype(kernel, weights);
    moe_runtime_kernel.y_dtype(kernel, y);
    moe_runtime_kernel.inner(kernel, inner);
    return kernel;
  }
}
