package panamoe.backend.abi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;
import panamoe.bindings.Moe;
import panamoe.bindings.moe_runtime_kernel;
import panamoe.tensor.DType;

/**
 * The call that a kernel was compiled for: the {@code moe_runtime_kernel} of the C ABI.
 *
 * @param fields sets the fields of the kernel's kind; the others stay 0
 */
public record KernelDescription(Consumer<MemorySegment> fields) {

  /** {@code chosen}: weights are divided by the sum over the chosen. */
  public static KernelDescription gate(
      int experts, int topK, Score score, QueueOrder order, boolean chosen) {
    return new KernelDescription(
        kernel -> {
          moe_runtime_kernel.kind(kernel, Moe.MOE_RUNTIME_GATE());
          moe_runtime_kernel.experts(kernel, experts);
          moe_runtime_kernel.top_k(kernel, topK);
          moe_runtime_kernel.score(kernel, score.ordinal());
          moe_runtime_kernel.queue_order(kernel, order.ordinal());
          moe_runtime_kernel.chosen(kernel, chosen ? 1 : 0);
        });
  }

  public static KernelDescription expert(
      long inner, Activation activation, DType x, DType weights, DType y) {
    return new KernelDescription(
        kernel -> {
          moe_runtime_kernel.kind(kernel, Moe.MOE_RUNTIME_EXPERT());
          moe_runtime_kernel.activation(kernel, activation.kind().code());
          moe_runtime_kernel.x_dtype(kernel, x.code());
          moe_runtime_kernel.weights_dtype(kernel, weights.code());
          moe_runtime_kernel.y_dtype(kernel, y.code());
          moe_runtime_kernel.inner(kernel, inner);
        });
  }

  public static KernelDescription customActivation() {
    return new KernelDescription(
        kernel -> moe_runtime_kernel.kind(kernel, Moe.MOE_RUNTIME_ACTIVATION()));
  }

  MemorySegment write(Arena arena) {
    MemorySegment kernel = moe_runtime_kernel.allocate(arena);
    moe_runtime_kernel.struct_size(kernel, (int) moe_runtime_kernel.sizeof());
    fields.accept(kernel);
    return kernel;
  }
}
