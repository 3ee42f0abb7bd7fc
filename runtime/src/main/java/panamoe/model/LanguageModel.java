package panamoe.model;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.Predicate;
import panamoe.backend.Backend;
import panamoe.config.AdapterConfig;
import panamoe.config.AttentionConfig;
import panamoe.config.BlockConfig;
import panamoe.config.EmbeddingConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.ModelConfig;
import panamoe.io.Require;
import panamoe.moe.MoeLayer;
import panamoe.nn.AttentionTables;
import panamoe.nn.Cost;
import panamoe.nn.KeyValueCache;
import panamoe.nn.Norm;
import panamoe.nn.RelativePositions;
import panamoe.nn.Sequences;
import panamoe.nn.Work;
import panamoe.op.EmbeddingOp;
import panamoe.op.NotFinite;
import panamoe.op.Pass;
import panamoe.op.RecomputeOp;
import panamoe.op.ScaleOp;
import panamoe.parallel.Ranks;
import panamoe.param.Adapters;
import panamoe.param.Declarations;
import panamoe.param.ExpertCache;
import panamoe.param.ExpertLayout;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.param.Slice;
import panamoe.param.Weight;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * A transformer: a decoder, perhaps with an encoder, built by its {@link ModelConfig}.
 *
 * <p>The constructor only declares the parameters, which is enough to count them; {@link
 * #materialize} initialises them, or {@link #allocate} allocates memory for a checkpoint's. Used by
 * one thread at a time.
 */
public final class LanguageModel implements AutoCloseable {
  private final ModelConfig config;
  private final ParameterStore store;
  private final Parameter embedding;
  private final Parameter positionEmbedding;
  private final Encoder encoder; // null without one
  private final RelativePositions relative; // null without any
  private final List<Block> blocks = new ArrayList<>();
  // Outputs of the latest forward by layer, for firstNonFiniteLayer.
  private final List<Tensor> outputs = new ArrayList<>();
  private final Norm finalNorm;
  private final Head head;
  private AttentionTables tables;
  private DType activations;
  private AdapterConfig adapters; // null: none
  private List<String> choices = List.of();

  /** A model on one rank. */
  public LanguageModel(ModelConfig config) {
    this(config, Ranks.alone());
  }

  /**
   * This rank's part of a model that is distributed over {@code ranks}. All ranks build it and run
   * its passes together.
   *
   * @throws IllegalArgumentException if its heads or MLPs do not divide among the tensor ranks, or
   *     it has an encoder or relative positions on several ranks
   */
  public LanguageModel(ModelConfig config, Ranks ranks) {
    int size = ranks.world().size();
    Require.that(
        size == 1 || config.embedding().relative() == null,
        "a model with an encoder or relative positions runs on one rank, not on %s",
        size);
    this.config = config;
    this.store = new ParameterStore(ranks);
    int hidden = config.hidden();
    Parameter.Part part = Parameter.Part.EMBEDDING;
    this.embedding = at("embedding").matrix(part, Slice.WHOLE, config.vocabulary(), hidden);
    this.positionEmbedding =
        config.embedding().positions() == EmbeddingConfig.Positions.LEARNED
            ? at("positions").table(part, config.context(), hidden)
            : null;
    this.encoder =
        config.encoder() == null ? null : new Encoder(at("encoder"), config, embedding, blocks);
    this.relative =
        config.embedding().relative() == null
            ? null
            : new RelativePositions(
                at("relative_bias"),
                config.embedding().relative(),
                ((GroupedQueryConfig) config.blocks().getFirst().attention()).heads().query(),
                false);
    for (int layer = 0; layer < config.layers(); layer++) {
      BlockConfig block = config.blocks().get(layer);
      blocks.add(
          new Block(
              at("layers." + layer), "layer " + layer, layer, hidden, block, encoder != null));
    }
    this.finalNorm = new Norm(at("final_norm"), config.finalNorm(), hidden);
    this.head = new Head(at("head"), config, embedding);
  }

  private Declarations at(String name) {
    return Declarations.of(store, config.initialWeights(), name);
  }

  public ModelConfig config() {
    return config;
  }

  /**
   * Declares adapters of some matrices, before the model has memory.
   *
   * @param wanted null: none
   * @return this model
   * @throws IllegalArgumentException as {@link Adapters#declare}
   */
  public LanguageModel adapted(AdapterConfig wanted) {
    if (wanted != null) {
      Adapters.declare(store, wanted);
      adapters = wanted;
    }
    return this;
  }

  /**
   * Declares adapters of which each sequence chooses one, or none, before the model has memory.
   *
   * @param names of the adapters; empty: one adapter, of all sequences
   * @param ranks r by the name of an adapted parameter; the model is on one rank
   */
  public void choosing(List<String> names, Map<String, Integer> ranks) {
    Adapters.declare(store, names.isEmpty() ? 0 : names.size() + 1, ranks);
    choices = List.copyOf(names);
  }

  /** The names of the adapters of which each sequence chooses one, or none. */
  public List<String> choices() {
    return choices;
  }

  /** The adapters of this model; null: none. */
  public AdapterConfig adapters() {
    return adapters;
  }

  /** The encoder; empty in a decoder-only model. */
  public Optional<Encoder> encoder() {
    return Optional.ofNullable(encoder);
  }

  /** This rank's parameters. */
  public ParameterStore parameters() {
    return store;
  }

  /** Computes logits and losses of hidden states. */
  public Head head() {
    return head;
  }

  /**
   * Allocates and initialises the parameters; see {@link ParameterStore#materialize}.
   *
   * @throws IllegalArgumentException for training, if a part has no backward
   */
  public void materialize(Backend backend, DType dtype, boolean training, long seed) {
    if (training) {
      config.requireLoss();
    }
    store.materialize(backend, dtype, training, seed);
    activations = dtype;
    makeTables(backend.threads());
  }

  /**
   * Allocates the weights as for inference, to load a checkpoint into, and initialises the adapters
   * for training; see {@link ParameterStore#adapt}.
   *
   * @throws IllegalArgumentException if a part has no backward
   */
  public void adapt(Backend backend, WeightTypes types, long seed) {
    config.requireLoss();
    store.adapt(backend, types, seed);
    activations = types.compute();
    makeTables(backend.threads());
  }

  /**
   * Allocates memory for inference in {@code types}, to load a checkpoint into; see {@link
   * ParameterStore#allocate}. The model can neither train nor be saved.
   */
  public void allocate(Backend backend, WeightTypes types) {
    allocate(backend, types, _ -> true, 0);
  }

  /**
   * Like {@link #allocate(Backend, WeightTypes)}, for some of the parameters.
   *
   * @param held which of them get memory
   * @param cacheBytes bytes that a cache of the others will take
   */
  public void allocate(
      Backend backend, WeightTypes types, Predicate<Parameter> held, long cacheBytes) {
    store.allocate(backend, types, held, cacheBytes);
    activations = types.compute();
    makeTables(backend.threads());
  }

  /** The MoE layers, in order, without an encoder's. */
  public List<MoeLayer> moeLayers() {
    return blocks.stream().map(Block::moe).filter(Objects::nonNull).toList();
  }

  /** An encoder's MoE layers, if there is one, then those of {@link #moeLayers}. */
  public List<MoeLayer> allMoeLayers() {
    List<MoeLayer> all = new ArrayList<>(encoder == null ? List.of() : encoder.moeLayers());
    all.addAll(moeLayers());
    return all;
  }

  /**
   * Takes experts' matrices from a cache, which is closed with this model.
   *
   * @param layouts of this rank's experts of {@link #allMoeLayers}, numbered consecutively
   */
  public void offload(ExpertCache cache, List<ExpertLayout> layouts) {
    List<MoeLayer> layers = allMoeLayers();
    int lastOfEncoder = layers.size() - moeLayers().size() - 1;
    Map<Parameter, Weight.Offloaded> weights = new HashMap<>();
    int first = 0;
    for (int i = 0; i < layers.size(); i++) {
      boolean followed = i + 1 < layers.size() && i != lastOfEncoder;
      BiConsumer<Pass, Tensor> next = followed ? layers.get(i + 1)::guess : (_, _) -> {};
      List<Parameter> stacks = layers.get(i).expertMatrices();
      int end = first + stacks.getFirst().matrices();
      for (int j = 0; j < stacks.size(); j++) {
        int index = j;
        List<ExpertLayout.Matrix> each =
            layouts.subList(first, end).stream().map(it -> it.matrices().get(index)).toList();
        weights.put(stacks.get(j), new Weight.Offloaded(cache, first, each, next));
      }
      first = end;
    }
    store.offload(cache, weights);
  }

  private List<AttentionConfig> attentions() {
    return config.blocks().stream().map(BlockConfig::attention).toList();
  }

  /** Bytes of the tables that its layers need for the positions of the context. */
  public long tableBytes() {
    return AttentionTables.bytes(config.context(), attentions());
  }

  private void makeTables(int threads) {
    tables = new AttentionTables(store.scope(), config.context(), attentions(), relative, threads);
    if (relative != null) {
      relative.makeBuckets(store.scope());
    }
    if (encoder != null) {
      encoder.makeTables(store.scope(), activations);
    }
  }

  /**
   * Packs all initialised weights for inference in {@code dtype}; the model can then neither train
   * nor be saved.
   */
  public void pack(Backend backend, DType dtype) {
    store.pack(backend, dtype);
  }

  /**
   * A cache of {@code blocks} blocks of {@code blockSize} tokens each.
   *
   * @param dtype of activations, or INT8
   */
  public KeyValueCache cache(TensorScope scope, DType dtype, long blocks, long blockSize) {
    return cache(scope, dtype, blocks, blockSize, 0, 0);
  }

  /** A cache with {@code windowBlocks} blocks in layers with a window of at most {@code window}. */
  public KeyValueCache cache(
      TensorScope scope, DType dtype, long blocks, long blockSize, int window, long windowBlocks) {
    return new KeyValueCache(
        scope,
        dtype,
        attentions(),
        store.ranks().tensor().size(),
        blocks,
        blockSize,
        window,
        windowBlocks);
  }

  /** The dtype of activations, once the model has memory. */
  public DType activationDType() {
    return activations;
  }

  /** {@link #hidden} times the scale of the head, which takes them. */
  public Tensor forward(
      Pass pass, Tensor ids, Sequences sequences, Tensor used, boolean recompute) {
    return head.scaled(pass, hidden(pass, ids, sequences, used, recompute));
  }

  /**
   * The final hidden states, after the last norm.
   *
   * @param ids INT32 [S]
   * @param used UINT8 [S] or null: 0 marks padding, which is not routed
   * @param recompute whether to keep only each layer's input for the backward, and recompute the
   *     rest
   * @return [S, M]
   * @throws NotFinite if a gate gets numbers that are not finite
   */
  public Tensor hidden(Pass pass, Tensor ids, Sequences sequences, Tensor used, boolean recompute) {
    Tensor table = positionEmbedding == null ? null : positionEmbedding.value();
    Tensor x =
        EmbeddingOp.forward(
            pass, ids, embedding.value(), sequences.positions(), table, activations);
    x = ScaleOp.forward(pass, x, config.embedding().scaleOf(activations));
    outputs.clear();
    try {
      for (Block block : blocks) {
        x =
            recompute
                ? RecomputeOp.forward(
                    pass, x, (inner, input) -> block.forward(inner, input, sequences, tables, used))
                : block.forward(pass, x, sequences, tables, used);
        outputs.add(x);
      }
    } catch (NotFinite e) {
      throw new NotFinite(" in layer " + outputs.size() + " (" + e.getMessage() + ")", e);
    }
    return finalNorm.forward(pass, x);
  }

  /**
   * The first layer of the latest {@link #hidden} whose output is not finite, or whose gate refused
   * such logits; -1 if all are finite. Covers this rank's rows; the activations of that pass must
   * still be alive.
   */
  public int firstNonFiniteLayer(Backend backend) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor sum = scope.allocate(DType.FLOAT32, 1);
      for (int layer = 0; layer < outputs.size(); layer++) {
        Tensor float32 = scope.allocate(DType.FLOAT32, outputs.get(layer).shape());
        backend.cast(outputs.get(layer), float32);
        backend.squareSum(float32, sum);
        if (!Float.isFinite(sum.getFloat(0))) {
          return layer;
        }
        float32.release();
      }
    }
    return outputs.size() < blocks.size() ? outputs.size() : -1;
  }

  /** The cost of {@link #forward} and of the {@link #head}. */
  public Cost cost(Work work) {
    int hidden = config.hidden();
    double looked = work.tokens() * (double) hidden * (positionEmbedding == null ? 1 : 2);
    Cost cost =
        new Cost(
                0,
                looked * work.dtype().bytes(),
                work.training() ? looked * DType.FLOAT32.bytes() : 0,
                work.bytes(hidden),
                0)
            .then(Cost.scaled(work, config.embedding().scale(), hidden));
    for (Cost block : blockCosts(work)) {
      cost = cost.then(block);
    }
    return cost.then(finalNorm.cost(work))
        .then(Cost.scaled(work, config.head().scale(), hidden))
        .then(head.cost(work, adapters != null));
  }

  /** The cost of each block. */
  public List<Cost> blockCosts(Work work) {
    if (store.scope() != null) { // weights in memory may differ in dtype
      return blocks.stream().map(block -> block.cost(work)).toList();
    }
    Map<BlockConfig, Cost> known = new IdentityHashMap<>();
    List<Cost> costs = new ArrayList<>();
    for (int i = 0; i < blocks.size(); i++) {
      Block block = blocks.get(i);
      costs.add(known.computeIfAbsent(config.blocks().get(i), _ -> block.cost(work)));
    }
    return costs;
  }

  @Override
  public void close() {
    store.close();
  }
}
