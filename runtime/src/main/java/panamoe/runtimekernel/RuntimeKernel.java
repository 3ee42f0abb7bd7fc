package panamoe.runtimekernel;

import java.util.List;
import java.util.Map;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.abi.KernelDescription;
import panamoe.io.Require;
import panamoe.tensor.DType;

/** A kernel to compile at run time, and the case it is compiled for. */
public sealed interface RuntimeKernel {
  /** The calls that the device uses it for. */
  KernelDescription description();

  /** The source to compile. */
  KernelSource source();

  /**
   * The whole dropless gate in one launch, for up to 64 tokens. {@code chosen}: weights are
   * normalised to a sum of 1.
   */
  record Gate(int experts, int topK, Score score, QueueOrder order, boolean chosen)
      implements RuntimeKernel {
    public Gate {
      Require.between("experts", experts, 1, 1024);
      Require.between("topK", topK, 1, Math.min(experts, 16));
    }

    @Override
    public KernelDescription description() {
      return KernelDescription.gate(experts, topK, score, order, chosen);
    }

    @Override
    public KernelSource source() {
      return KernelSource.of(
          "gate",
          null,
          List.of(
              "KERNEL_EXPERTS=" + experts,
              "KERNEL_TOP_K=" + topK,
              "KERNEL_SCORE=" + score.ordinal(),
              "KERNEL_QUEUE_ORDER=" + order.ordinal(),
              "KERNEL_CHOSEN=" + (chosen ? 1 : 0)));
    }
  }

  /**
   * The experts' linear layer and activation (without parameters).
   *
   * @param inner K, a multiple of 8
   * @param custom the expressions of {@link Activation#CUSTOM}; null with every other activation
   * @param x elements of the input
   * @param weights elements of the weights
   * @param y elements of the output
   */
  record Expert(
      int inner,
      Activation activation,
      ActivationExpression custom,
      DType x,
      DType weights,
      DType y)
      implements RuntimeKernel {
    private static final Map<DType, String> TYPES =
        Map.of(DType.FLOAT32, "float", DType.BFLOAT16, "bfloat16");

    public Expert {
      Require.between("inner", inner, 8, 1 << 24);
      if (inner % 8 != 0) {
        throw new IllegalArgumentException("inner is " + inner + ", expected a multiple of 8");
      }
      if (!activation.isPlain()) {
        throw new IllegalArgumentException(
            "activation is " + activation + ", whose parameters no run-time kernel takes");
      }
      if (activation.equals(Activation.CUSTOM) != (custom != null)) {
        throw Require.refusal(
            "activation is %s%s an expression; expressions belong to CUSTOM",
            activation, custom == null ? ", without" : ", with");
      }
      for (DType type : List.of(x, weights, y)) {
        if (!type.isFloating()) {
          throw new IllegalArgumentException(
              "an element type is " + type + ", expected FLOAT32 or BFLOAT16");
        }
      }
    }

    @Override
    public KernelDescription description() {
      return KernelDescription.expert(inner, activation, x, weights, y);
    }

    @Override
    public KernelSource source() {
      return KernelSource.of(
          "expert",
          custom == null ? null : custom.header(),
          List.of(
              "KERNEL_INNER=" + inner,
              "KERNEL_ACTIVATION=" + activation.kind().code(),
              "KERNEL_X=" + TYPES.get(x),
              "KERNEL_W=" + TYPES.get(weights),
              "KERNEL_Y=" + TYPES.get(y)));
    }
  }

  /** {@link Activation#CUSTOM}, forward and backward, for all kernels with an activation. */
  record CustomActivation(ActivationExpression expression) implements RuntimeKernel {
    @Override
    public KernelDescription description() {
      return KernelDescription.customActivation();
    }

    @Override
    public KernelSource source() {
      return KernelSource.of("activation", expression.header(), List.of());
    }
  }
}
