package panamoe.config;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;
import panamoe.backend.Activation;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.io.Omittable;
import panamoe.io.Require;

/**
 * A language model, block by block: a decoder, perhaps with an encoder. A model family is a
 * function that returns such a tree; {@link UniformModel} is the paper's.
 *
 * @param vocabulary V, token ids
 * @param context longest sequence
 * @param hidden M
 * @param blocks one for each layer, 1 to {@link #MAX_LAYERS}; equal ones are one object
 * @param encoder null in a decoder-only model
 */
public record ModelConfig(
    int vocabulary,
    int context,
    int hidden,
    EmbeddingConfig embedding,
    List<BlockConfig> blocks,
    NormConfig finalNorm,
    HeadConfig head,
    InitialWeights initialWeights,
    @Omittable EncoderConfig encoder) {

  /** Most layers: far more than any trained model, and still built quickly. */
  public static final int MAX_LAYERS = 1024;

  public ModelConfig {
    Require.size("vocabulary", vocabulary, Require.MAX_SIZE);
    Require.size("context", context, Require.MAX_SIZE);
    requireHidden(hidden);
    Require.present("embedding", embedding);
    Require.present("blocks", blocks);
    if (blocks.stream().anyMatch(Objects::isNull)) {
      throw new IllegalArgumentException("blocks has a null, expected an object for each layer");
    }
    blocks = shared(blocks);
    if (blocks.isEmpty() || blocks.size() > MAX_LAYERS) {
      throw new IllegalArgumentException(
          "blocks has " + blocks.size() + " layers, expected 1 to " + MAX_LAYERS);
    }
    requireOneLoss(blocks);
    Require.present("finalNorm", finalNorm);
    Require.present("head", head);
    Require.present("initialWeights", initialWeights);
    if (embedding.relative() != null) {
      requireRelative(blocks);
    }
    if (encoder != null) {
      encoder.blocks().forEach(block -> requireRelative(List.of(block)));
      encoder.requireFits(vocabulary, embedding, blocks);
    }
  }

  /** Equal blocks become one object, so that results can be cached by block. */
  private static List<BlockConfig> shared(List<BlockConfig> blocks) {
    Map<BlockConfig, BlockConfig> first = new HashMap<>();
    return blocks.stream().map(block -> first.computeIfAbsent(block, _ -> block)).toList();
  }

  /** Without an encoder. */
  public ModelConfig(
      int vocabulary,
      int context,
      int hidden,
      EmbeddingConfig embedding,
      List<BlockConfig> blocks,
      NormConfig finalNorm,
      HeadConfig head,
      InitialWeights initialWeights) {
    this(vocabulary, context, hidden, embedding, blocks, finalNorm, head, initialWeights, null);
  }

  /** Refuses attention that cannot have a bias by relative position. */
  private static void requireRelative(List<BlockConfig> blocks) {
    int heads = 0;
    for (BlockConfig block : blocks) {
      if (!(block.attention() instanceof GroupedQueryConfig grouped)
          || grouped.scores().sinks()
          || grouped.rotary() != null
          || heads > 0 && grouped.heads().query() != heads) {
        throw new IllegalArgumentException(
            "relative positions are for grouped-query attention without sinks and rotary"
                + " positions, of as many heads in every block");
      }
      heads = grouped.heads().query();
    }
  }

  /** A loss across layers needs equally many experts in each of them. */
  private static void requireOneLoss(List<BlockConfig> blocks) {
    long kinds =
        blocks.stream()
            .filter(
                block ->
                    block.feedForward() instanceof MoeConfig moe && moe.gate().loss().joinsLayers())
            .mapToInt(BlockConfig::experts)
            .distinct()
            .count();
    Require.that(
        kinds <= 1,
        "loss.acrossLayers is true in layers of different numbers of experts, expected as many");
  }

  /**
   * Refuses a width for which byte counts could overflow.
   *
   * @throws IllegalArgumentException if it is not 1 to 131072
   */
  public static void requireHidden(int hidden) {
    Require.size("hidden", hidden, Require.MAX_WIDTH);
  }

  /**
   * Refuses a model without a loss.
   *
   * @throws IllegalArgumentException if its head has a bias or labels, or it has an encoder or
   *     relative positions
   */
  public void requireLoss() {
    requireVocabulary();
    Require.that(
        !head.bias(), "the model's head has a bias: it generates text, but no loss takes the bias");
    Require.that(
        encoder == null && embedding.relative() == null,
        "a model with an encoder or relative positions generates text, but is neither trained nor"
            + " given a loss");
  }

  /**
   * Refuses a model that cannot generate.
   *
   * @throws IllegalArgumentException if a layer has a FULL mask, or the head has labels
   */
  public void requireGeneration() {
    requireCausal();
    requireVocabulary();
  }

  /**
   * Refuses a model that only reads texts.
   *
   * @throws IllegalArgumentException if the head has labels
   */
  public void requireVocabulary() {
    Require.that(
        head.labels() == null,
        "the model has no head for the next token: it only reads texts, for embed or rerank");
  }

  /**
   * Refuses a model whose tokens cannot be computed one after another.
   *
   * @throws IllegalArgumentException if a layer has a FULL mask
   */
  public void requireCausal() {
    Require.that(
        blocks.stream().noneMatch(block -> block.attention().scores().mask() == Mask.FULL),
        "a model with a FULL mask cannot generate: a later token would change earlier ones");
  }

  public int layers() {
    return blocks.size();
  }

  /** The logits of a token: of the vocabulary, or of labels. */
  public int outputs() {
    return head.labels() == null ? vocabulary : head.labels();
  }

  /** For each layer its number of experts; 0 for a dense one. */
  public List<Integer> experts() {
    return blocks.stream().map(BlockConfig::experts).toList();
  }

  public boolean hasExperts() {
    return blocks.stream().anyMatch(block -> block.experts() > 0);
  }

  /** The largest attention window below the context; 0 if no layer has one. */
  public int window() {
    return blocks.stream()
        .mapToInt(block -> block.attention().scores().window())
        .filter(window -> window < context)
        .max()
        .orElse(0);
  }

  /** For each layer the activation of its MLP or experts. */
  public List<Activation> activations() {
    return blocks.stream()
        .map(
            block ->
                switch (block.feedForward()) {
                  case DenseConfig dense -> dense.activation();
                  case MoeConfig moe -> moe.activation();
                })
        .toList();
  }

  /** This model with every gate changed. */
  public ModelConfig withGates(UnaryOperator<GateConfig> change) {
    EncoderConfig changed =
        encoder == null ? null : encoder.withBlocks(withGates(encoder.blocks(), change));
    return withBlocks(withGates(blocks, change)).with(changed);
  }

  private static List<BlockConfig> withGates(
      List<BlockConfig> blocks, UnaryOperator<GateConfig> change) {
    return blocks.stream().map(block -> block.withGate(change)).toList();
  }

  /** This model with other blocks. */
  public ModelConfig withBlocks(List<BlockConfig> others) {
    return new ModelConfig(
        vocabulary, context, hidden, embedding, others, finalNorm, head, initialWeights, encoder);
  }

  /** This model for other lengths of sequences. */
  public ModelConfig withContext(int tokens) {
    return new ModelConfig(
        vocabulary, tokens, hidden, embedding, blocks, finalNorm, head, initialWeights, encoder);
  }

  /** This model with another embedding. */
  public ModelConfig with(EmbeddingConfig other) {
    return new ModelConfig(
        vocabulary, context, hidden, other, blocks, finalNorm, head, initialWeights, encoder);
  }

  /** This model with another head. */
  public ModelConfig with(HeadConfig other) {
    return new ModelConfig(
        vocabulary, context, hidden, embedding, blocks, finalNorm, other, initialWeights, encoder);
  }

  /** This model with another encoder. */
  public ModelConfig with(EncoderConfig other) {
    return new ModelConfig(
        vocabulary, context, hidden, embedding, blocks, finalNorm, head, initialWeights, other);
  }
}
