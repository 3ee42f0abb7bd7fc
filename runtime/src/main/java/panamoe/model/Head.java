package panamoe.model;

import panamoe.backend.Activation;
import panamoe.backend.GemmKernels;
import panamoe.config.ModelConfig;
import panamoe.io.Require;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.op.CrossEntropyOp;
import panamoe.op.DistillationOp;
import panamoe.op.MixedDivergenceOp;
import panamoe.op.Pass;
import panamoe.op.PreferenceOp;
import panamoe.op.ScaleOp;
import panamoe.param.Adapter;
import panamoe.param.Declarations;
import panamoe.param.Initialization;
import panamoe.param.Parameter;
import panamoe.param.Slice;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Logits of a model's final hidden states [S, M], which its scale has multiplied, and losses. With
 * {@link panamoe.config.HeadConfig#labels} V is their number.
 */
public final class Head {
  private final ModelConfig config;
  private final Parameter matrix; // the token embedding if tied; null without labels
  private final Parameter bias; // null without one

  Head(Declarations at, ModelConfig config, Parameter embedding) {
    this.config = config;
    Parameter.Part part = Parameter.Part.EMBEDDING;
    int outputs = config.outputs();
    this.matrix =
        config.head().tied()
            ? embedding
            : outputs == 0 ? null : at.matrix(part, Slice.WHOLE, outputs, config.hidden());
    this.bias =
        config.head().bias()
            ? at.vector("bias", part, Initialization.ZERO, Slice.WHOLE, outputs)
            : null;
  }

  /** The matrix [V, M]: the token embedding if tied. */
  public Parameter matrix() {
    return matrix;
  }

  /** The soft cap of the logits; 0 for none. */
  public float softCap() {
    return config.head().softCap() == null ? 0 : config.head().softCap().floatValue();
  }

  /** The GEMM operand. */
  public Tensor weight() {
    return matrix.value();
  }

  /** Hidden states [S, M] times the scale of the head, as its other methods take them. */
  public Tensor scaled(Pass pass, Tensor hidden) {
    return ScaleOp.forward(pass, hidden, config.head().scale());
  }

  /** Logits FLOAT32 [S, V] of hidden states [S, M]. No gradients: training uses {@link #losses}. */
  public Tensor logits(Pass pass, Tensor hidden) {
    Tensor y = pass.allocate(DType.FLOAT32, hidden.size(0), config.outputs());
    logitsInto(pass, hidden, y);
    return y;
  }

  /** Writes {@link #logits} to FLOAT32 {@code y} [S, V]. */
  public void logitsInto(Pass pass, Tensor hidden, Tensor y) {
    pass.backend()
        .gemm(
            false,
            true,
            false,
            hidden,
            weight(),
            y,
            new GemmKernels.Epilogue(
                Activation.IDENTITY,
                Parameter.valueOf(bias),
                null,
                Adapter.terms(pass, matrix, hidden, DType.FLOAT32)));
    if (softCap() > 0) {
      pass.backend().softCap(softCap(), y, y);
    }
  }

  /**
   * Each token's cross-entropy in nats, FLOAT32 [S].
   *
   * @param targets INT32 [S], -1 does not count
   * @param dloss derivative of the objective by each token's loss
   * @throws IllegalArgumentException if the head has a bias, which no loss takes
   */
  public Tensor losses(Pass pass, Tensor hidden, Tensor targets, float dloss) {
    config.requireLoss();
    Tensor t = Adapter.inner(pass, matrix, hidden);
    if (t == null && !(pass.recording() && matrix.frozen())) {
      return CrossEntropyOp.forward(pass, hidden, weight(), softCap(), targets, 0, dloss);
    }
    return CrossEntropyOp.frozen(
        pass,
        hidden,
        weight(),
        t == null ? null : new CrossEntropyOp.LowRank(t, matrix.adapter().b().value()),
        softCap(),
        targets,
        dloss);
  }

  /** Like {@link #losses}, with the divergences from a teacher. */
  public DistillationOp.Losses losses(
      Pass pass, Tensor hidden, DistillationOp.Teacher teacher, Tensor targets, float dloss) {
    config.requireLoss();
    return DistillationOp.forward(pass, hidden, weight(), softCap(), teacher, targets, 0, dloss);
  }

  /**
   * The loss of pairs of answers.
   *
   * @param texts their lengths in rows; see {@link PreferenceOp}
   * @param dloss derivative of the objective by each pair's loss
   * @throws IllegalArgumentException like {@link #requirePreferences}
   */
  public PreferenceOp.Sums losses(
      Pass pass,
      Tensor hidden,
      int[] texts,
      Tensor targets,
      PreferenceOp.Reference reference,
      double dloss) {
    requirePreferences();
    return PreferenceOp.forward(pass, this::losses, hidden, texts, targets, reference, dloss);
  }

  /**
   * Refuses dropout in the matrix's adapter: it would change the gradients of the answers, but not
   * the margin that they are multiplied by.
   *
   * @throws IllegalArgumentException if there is such dropout
   */
  public void requirePreferences() {
    Adapter adapter = matrix == null ? null : matrix.adapter();
    Require.that(
        adapter == null || adapter.dropout() == 0,
        "an adapter of the head learns no preferences with dropout; leave out the dropout, or the"
            + " target head");
  }

  /** The log-probabilities of answers, in nats; see {@link PreferenceOp}. */
  public double[] logProbabilities(Pass pass, Tensor hidden, int[] texts, Tensor targets) {
    return PreferenceOp.logProbabilities(pass, this::losses, hidden, texts, targets);
  }

  /**
   * Each row's divergence from a teacher, see {@link MixedDivergenceOp}.
   *
   * @param dloss derivative of the objective by each row's divergence
   */
  public Tensor divergences(
      Pass pass,
      Tensor hidden,
      DistillationOp.Teacher teacher,
      double mix,
      MixedDivergenceOp.Tails tails,
      float dloss) {
    config.requireLoss();
    return MixedDivergenceOp.forward(pass, hidden, weight(), softCap(), teacher, mix, tails, dloss);
  }

  /**
   * The cost of {@link #losses} in training, otherwise {@link #logits}.
   *
   * @param frozen whether training does not change the matrix
   */
  Cost cost(Work work, boolean frozen) {
    int outputs = config.outputs();
    int hidden = config.hidden();
    // The loss forms the gradient of the hidden states in its forward.
    double kept =
        work.training()
            ? work.bytes32(1) + work.bytes(hidden)
            : (double) work.logits() * outputs * DType.FLOAT32.bytes();
    return Cost.products(work, work.logits(), (double) outputs * hidden)
        .then(Cost.adapter(work, work.logits(), hidden, 0, matrix, work.dtype()))
        .then(Cost.weights(work, matrix))
        .then(Cost.weights(work, bias))
        .then(Cost.activations(work, kept, frozen ? partBytes(work) : 0));
  }

  /** Bytes of the logits of a loss with a frozen matrix. */
  private double partBytes(Work work) {
    double rows = Math.max(1, CrossEntropyOp.LOGITS / config.outputs());
    return DType.FLOAT32.bytes() * config.outputs() * Math.min(rows, work.logits());
  }
}
