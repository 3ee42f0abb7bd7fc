package panamoe.op;

import panamoe.backend.GemmKernels;
import panamoe.backend.LossKernels;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** Cross-entropy of the logits {@code hidden weights^T}, which are never stored whole. */
public final class CrossEntropyOp {
  private CrossEntropyOp() {}

  /**
   * With a tape, one sweep forms loss and gradients, since the logits are not kept.
   *
   * @param hidden [S, M]
   * @param weights [V, M]
   * @param logitCap soft cap of the logits; 0 for none
   * @param targets INT32 [S], -1 does not count
   * @param dloss derivative of the objective by each token's loss
   * @return FLOAT32 [S], nats
   */
  public static Tensor forward(
      Pass pass,
      Tensor hidden,
      Tensor weights,
      float logitCap,
      Tensor targets,
      float labelSmoothing,
      float dloss) {
    return forward(pass, hidden, weights, logitCap, null, targets, labelSmoothing, dloss);
  }

  /** The teacher may be null. */
  static Tensor forward(
      Pass pass,
      Tensor hidden,
      Tensor weights,
      float logitCap,
      LossKernels.Teacher teacher,
      Tensor targets,
      float labelSmoothing,
      float dloss) {
    Tensor losses = pass.allocate(DType.FLOAT32, hidden.size(0));
    Tensor dhidden = pass.recording() ? pass.allocate(hidden.dtype(), hidden.shape()) : null;
    Tensor dweights =
        pass.recording() ? pass.tape().parameterGradientOrScratch(weights, pass.scope()) : null;
    LossKernels.Tokens tokens =
        new LossKernels.Tokens(targets, labelSmoothing, dloss, losses, logitCap);
    if (teacher == null) {
      pass.backend().linearCrossEntropy(tokens, hidden, weights, dhidden, dweights);
    } else {
      pass.backend().linearDistillation(tokens, teacher, hidden, weights, dhidden, dweights);
    }
    pass.record(() -> pass.tape().addGradient(hidden, dhidden));
    return losses;
  }

  /**
   * An adapter's part of the logits, {@code t B^T}.
   *
   * @param t [S, r]
   * @param b B [V, r]
   */
  public record LowRank(Tensor t, Tensor b) {}

  /** Elements of logits that {@link #frozen} holds at once. */
  public static final long LOGITS = 1 << 23;

  /**
   * Like {@link #forward} with weights that get no gradient: logits of some rows after the other.
   *
   * @param weights [V, M], row-major or packed
   * @param lowRank null: none
   */
  public static Tensor frozen(
      Pass pass,
      Tensor hidden,
      Tensor weights,
      LowRank lowRank,
      float logitCap,
      Tensor targets,
      float dloss) {
    boolean gradients = pass.recording();
    boolean adapted = lowRank != null;
    Tensor losses = pass.allocate(DType.FLOAT32, hidden.size(0));
    Tensor dhidden = gradients ? pass.allocate(hidden.dtype(), hidden.shape()) : null;
    Tensor dt = gradients && adapted ? pass.allocate(lowRank.t.dtype(), lowRank.t.shape()) : null;
    long rows = Math.clamp(LOGITS / weights.size(0), 1, hidden.size(0));
    for (long from = 0; from < hidden.size(0); from += rows) {
      long to = Math.min(from + rows, hidden.size(0));
      try (TensorScope scope = TensorScope.confined(pass.backend())) {
        Tensor logits = scope.allocate(DType.FLOAT32, to - from, weights.size(0));
        product(pass, false, true, false, hidden.rows(from, to), weights, logits);
        if (adapted) {
          product(pass, false, true, true, lowRank.t.rows(from, to), lowRank.b, logits);
        }
        if (logitCap > 0) {
          pass.backend().softCap(logitCap, logits, logits);
        }
        LossKernels.Tokens tokens =
            new LossKernels.Tokens(
                targets.rows(from, to), 0, dloss, losses.rows(from, to), logitCap);
        pass.backend().crossEntropy(tokens, logits, gradients ? logits : null);
        if (gradients) {
          product(pass, false, false, false, logits, weights, dhidden.rows(from, to));
        }
        if (dt != null) {
          product(pass, false, false, false, logits, lowRank.b, dt.rows(from, to));
          Tensor t = lowRank.t.rows(from, to);
          pass.tape()
              .gradientOf(lowRank.b)
              .add((more, sums) -> product(pass, true, false, more, logits, t, sums));
        }
      }
    }
    pass.record(() -> pass.tape().addGradient(hidden, dhidden));
    if (dt != null) {
      pass.record(() -> pass.tape().addGradient(lowRank.t, dt));
    }
    return losses;
  }

  private static void product(
      Pass pass,
      boolean transposeA,
      boolean transposeB,
      boolean accumulate,
      Tensor a,
      Tensor b,
      Tensor c) {
    pass.backend().gemm(transposeA, transposeB, accumulate, a, b, c, GemmKernels.Epilogue.NONE);
  }
}
