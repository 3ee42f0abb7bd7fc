package panamoe.model;

import panamoe.backend.GemmKernels;
import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.nn.KeyValueCache;
import panamoe.nn.Norm;
import panamoe.nn.RotaryTable;
import panamoe.nn.Sequences;
import panamoe.op.CheckpointOp;
import panamoe.op.CrossEntropyOp;
import panamoe.op.EmbeddingOp;
import panamoe.op.LinearOp;
import panamoe.op.Pass;
import panamoe.parallel.Ranks;
import panamoe.param.Initialization;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * A decoder-only transformer whose layers are dense or MoE. The output matrix is the token
 * embedding (tied).
 *
 * <p>Made in two steps: the constructor declares the parameters, which costs nothing and is enough
 * to count them; {@link #materialize} gives them memory. Used by one thread at a time.
 */
public final class LanguageModel implements AutoCloseable {
  private static final double ROTARY_BASE = 10_000;

  private final ModelConfig config;
  private final ParameterStore store;
  private final Parameter embedding;
  private final Parameter positionEmbedding;
  private final List<Block> blocks = new ArrayList<>();
  // Of the latest forward, by layer, for who wants to know where it went wrong.
  private final List<Tensor> outputs = new ArrayList<>();
  private final Norm finalNorm;
  private RotaryTable rotary;
  private Tensor outputWeight;

  /** A model that one rank holds whole. */
  public LanguageModel(ModelConfig config) {
    this(config, Ranks.alone());
  }

  /**
   * This rank's part of a model that all {@code ranks} hold together; they build it, and run its
   * passes, at the same time.
   *
   * @throws IllegalArgumentException if its heads or MLPs do not divide among the tensor ranks
   */
  public LanguageModel(ModelConfig config, Ranks ranks) {
    this.config = config;
    this.store = new ParameterStore(ranks);
    Initialization normal = new Initialization.Normal((float) config.initialDeviation());
    Parameter.Part part = Parameter.Part.EMBEDDING;
    this.embedding =
        store.declare("embedding.weight", part, true, normal, config.vocabulary(), config.hidden());
    this.positionEmbedding =
        config.positions() == ModelConfig.Positions.LEARNED
            ? store.declare(
                "positions.weight", part, true, normal, config.context(), config.hidden())
            : null;
    for (int layer = 0; layer < config.layers(); layer++) {
      blocks.add(new Block(store, config, layer));
    }
    this.finalNorm = new Norm(store, "final_norm", config.norm(), config.hidden());
  }

  public ModelConfig config() {
    return config;
  }

  /** The parameters that this rank holds. */
  public ParameterStore parameters() {
    return store;
  }

  /** The token embedding, which is the output matrix as well. */
  public Parameter embedding() {
    return embedding;
  }

  /** Gives the parameters memory and first values; see {@link ParameterStore#materialize}. */
  public void materialize(Backend backend, DType dtype, boolean training, long seed) {
    store.materialize(backend, dtype, training, seed);
    if (config.positions() == ModelConfig.Positions.ROTARY) {
      rotary = RotaryTable.of(store.scope(), config.context(), config.headSize(), ROTARY_BASE);
    }
    outputWeight = embedding.value();
  }

  /**
   * Packs all weights for inference in {@code dtype}; the model can then neither train nor be
   * saved.
   */
  public void pack(Backend backend, DType dtype) {
    long[] shape = embedding.shape();
    Tensor table = embedding.master();
    outputWeight = store.scope().allocatePacked(dtype, backend.packedBytes(dtype, shape), shape);
    backend.pack(table, outputWeight);
    store.pack(backend, dtype);
  }

  /** A cache with room for {@code slots} sequences of {@code capacity} tokens. */
  public KeyValueCache cache(TensorScope scope, long slots, long capacity) {
    return new KeyValueCache(
        scope,
        activationDType(),
        config.layers(),
        slots,
        capacity,
        config.keyValueHeads() / store.ranks().tensor().size(),
        config.headSize());
  }

  /** The dtype of activations: that of the embedding's values. */
  public DType activationDType() {
    return embedding.value().dtype();
  }

  /**
   * The final hidden states, after the last norm.
   *
   * @param ids INT32 [S]
   * @param used UINT8 [S] or null: 0 marks padding, which no expert sees
   * @param recompute whether to keep only each layer's input for the backward and compute the rest
   *     again
   * @return [S, M]
   */
  public Tensor forward(
      Pass pass, Tensor ids, Sequences sequences, Tensor used, boolean recompute) {
    Tensor table = positionEmbedding == null ? null : positionEmbedding.value();
    Tensor x = EmbeddingOp.forward(pass, ids, embedding.value(), sequences.positions(), table);
    outputs.clear();
    for (Block block : blocks) {
      x =
          recompute
              ? CheckpointOp.forward(
                  pass, x, (inner, input) -> block.forward(inner, input, sequences, rotary, used))
              : block.forward(pass, x, sequences, rotary, used);
      outputs.add(x);
    }
    return finalNorm.forward(pass, x);
  }

  /**
   * The first layer of the latest {@link #forward} whose output has a number that is not finite, or
   * -1: where a run went wrong. A layer that refused what it got, as a gate does with such logits,
   * counts as well. Tells what this rank has seen; the activations of that pass must still be
   * there.
   */
  public int firstNonFiniteLayer(Backend backend) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor sum = scope.allocate(DType.FLOAT32, 1);
      for (int layer = 0; layer < outputs.size(); layer++) {
        Tensor float32 = scope.allocate(DType.FLOAT32, outputs.get(layer).shape());
        backend.cast(outputs.get(layer), float32);
        backend.squareSum(float32, sum);
        backend.synchronize();
        if (!Float.isFinite(sum.getFloat(0))) {
          return layer;
        }
        float32.release();
      }
    }
    return outputs.size() < blocks.size() ? outputs.size() : -1;
  }

  /** Logits FLOAT32 [S, V] of hidden states [S, M]. No gradients: training uses {@link #losses}. */
  public Tensor logits(Pass pass, Tensor hidden) {
    return LinearOp.forward(pass, hidden, outputWeight, null, Activation.IDENTITY, DType.FLOAT32);
  }

  /** As {@link #logits}, written to FLOAT32 {@code y} [S, V]. */
  public void logitsInto(Pass pass, Tensor hidden, Tensor y) {
    pass.backend()
        .gemm(false, true, false, hidden, outputWeight, y, GemmKernels.Epilogue.NONE);
  }

  /**
   * Each token's cross-entropy in nats, FLOAT32 [S].
   *
   * @param targets INT32 [S], -1 does not count
   * @param dloss derivative of the objective by each token's loss
   */
  public Tensor losses(Pass pass, Tensor hidden, Tensor targets, float dloss) {
    return CrossEntropyOp.forward(pass, hidden, embedding.value(), targets, 0, dloss);
  }

  @Override
  public void close() {
    store.close();
  }
}
