package panamoe.model;

import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.GemmKernels;
import panamoe.config.ModelConfig;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.op.CrossEntropyOp;
import panamoe.op.Pass;
import panamoe.param.Declarations;
import panamoe.param.Initialization;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.param.Slice;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** Logits of a model's final hidden states [S, M], and their losses. */
public final class Head {
  private final ModelConfig config;
  private final Parameter matrix; // the token embedding if tied
  private final Parameter bias; // null without one
  private final ParameterStore store;
  private Tensor
      packed; // packed copy of a tied matrix in inference; the embedding needs it row-major

  Head(Declarations at, ModelConfig config, Parameter embedding, ParameterStore store) {
    this.config = config;
    this.store = store;
    Parameter.Part part = Parameter.Part.EMBEDDING;
    int vocabulary = config.vocabulary();
    this.matrix =
        config.head().tied()
            ? embedding
            : at.matrix(part, Slice.WHOLE, vocabulary, config.hidden());
    this.bias =
        config.head().bias()
            ? at.vector("bias", part, Initialization.ZERO, Slice.WHOLE, vocabulary)
            : null;
  }

  /** The matrix [V, M]: the token embedding if tied. */
  public Parameter matrix() {
    return matrix;
  }

  /** The GEMM operand. */
  public Tensor weight() {
    return packed == null ? matrix.value() : packed;
  }

  /** Bytes of {@link #allocate}. */
  long packedBytes(Backend backend, WeightTypes types) {
    return config.head().tied() ? backend.packedBytes(types.ofTiedHead(), matrix.shape()) : 0;
  }

  /** Allocates the packed copy of a tied matrix in inference. */
  void allocate(Backend backend, WeightTypes types) {
    if (config.head().tied()) {
      packed = types.multiplied(store.allocatePacked(backend, types.ofTiedHead(), matrix.shape()));
    }
  }

  /** Packs a tied matrix for inference. */
  void pack(Backend backend, DType dtype) {
    allocate(backend, WeightTypes.of(dtype));
    if (packed != null) {
      backend.pack(matrix.master(), packed);
    }
  }

  /** Logits FLOAT32 [S, V] of hidden states [S, M]. No gradients: training uses {@link #losses}. */
  public Tensor logits(Pass pass, Tensor hidden) {
    Tensor y = pass.allocate(DType.FLOAT32, hidden.size(0), config.vocabulary());
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
            scaled(pass, hidden),
            weight(),
            y,
            new GemmKernels.Epilogue(Activation.IDENTITY, Parameter.valueOf(bias), null));
  }

  private Tensor scaled(Pass pass, Tensor hidden) {
    Double scale = config.head().scale();
    if (scale == null) {
      return hidden;
    }
    Tensor y = pass.allocate(hidden.dtype(), hidden.shape());
    pass.backend().add(scale.floatValue(), hidden, 0, hidden, y);
    return y;
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
    return CrossEntropyOp.forward(pass, hidden, weight(), targets, 0, dloss);
  }

  /** The cost of {@link #losses} in training, otherwise {@link #logits}. */
  Cost cost(Work work) {
    int vocabulary = config.vocabulary();
    int hidden = config.hidden();
    // The loss forms the gradient of the hidden states in its forward.
    double kept =
        work.training()
            ? work.bytes32(1) + work.bytes(hidden)
            : (double) work.logits() * vocabulary * DType.FLOAT32.bytes();
    return Cost.products(work, work.logits(), (double) vocabulary * hidden)
        .then(Cost.weights(work, matrix, packed == null ? matrix.value() : packed))
        .then(Cost.weights(work, bias))
        .then(Cost.activations(work, kept, 0));
  }
}
