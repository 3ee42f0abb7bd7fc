package panamoe.model;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import panamoe.config.BlockConfig;
import panamoe.config.EncoderConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.ModelConfig;
import panamoe.moe.MoeLayer;
import panamoe.nn.AttentionTables;
import panamoe.nn.KeyValueCache;
import panamoe.nn.Norm;
import panamoe.nn.RelativePositions;
import panamoe.nn.Sequences;
import panamoe.op.EmbeddingOp;
import panamoe.op.Pass;
import panamoe.op.ScaleOp;
import panamoe.param.Declarations;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The encoder of a {@link LanguageModel}, and the decoder's cache of encoded sequences. Used by one
 * thread at a time.
 */
public final class Encoder {
  private final ModelConfig model;
  private final Parameter embedding;
  private final List<Block> decoder;
  private final List<Block> blocks = new ArrayList<>();
  private final RelativePositions relative;
  private final Norm finalNorm;
  private AttentionTables tables;
  private DType activations;

  /**
   * @param embedding of tokens, shared with the decoder
   * @param decoder its layers, which may be added later
   */
  Encoder(Declarations at, ModelConfig model, Parameter embedding, List<Block> decoder) {
    EncoderConfig config = model.encoder();
    this.model = model;
    this.embedding = embedding;
    this.decoder = decoder;
    GroupedQueryConfig first = (GroupedQueryConfig) config.blocks().getFirst().attention();
    this.relative =
        new RelativePositions(
            at.in("relative_bias"), model.embedding().relative(), first.heads().query(), true);
    for (int layer = 0; layer < config.blocks().size(); layer++) {
      BlockConfig block = config.blocks().get(layer);
      // All layers use one cache: a layer has read its keys and values before the next one stores
      // its own.
      blocks.add(
          new Block(
              at.in("layers." + layer), "encoder layer " + layer, 0, model.hidden(), block, false));
    }
    this.finalNorm = new Norm(at.in("final_norm"), config.finalNorm(), model.hidden());
  }

  List<MoeLayer> moeLayers() {
    return blocks.stream().map(Block::moe).filter(Objects::nonNull).toList();
  }

  /**
   * @param dtype of activations
   */
  void makeTables(TensorScope scope, DType dtype) {
    activations = dtype;
    relative.makeBuckets(scope);
    tables = new AttentionTables(scope, model.context(), List.of(), relative, 1);
  }

  /**
   * A cross-attention cache of {@code sequences} sequences as long as the context, with a block for
   * each.
   *
   * @param dtype of activations, or INT8
   */
  public KeyValueCache cache(TensorScope scope, DType dtype, long sequences) {
    return new KeyValueCache(
        scope,
        dtype,
        model.blocks().stream().map(BlockConfig::attention).toList(),
        1,
        sequences,
        model.context(),
        0,
        0);
  }

  /**
   * Encodes a sequence, and stores its keys and values for the decoder's layers.
   *
   * @param ids INT32 [S]
   * @param positions INT32 [S]: 0 to S - 1
   * @param ends INT32 [S]: S - 1
   * @param at the slot of the sequence for each row; the ends are the positions
   * @return the final hidden states [S, M]
   */
  public Tensor read(Pass pass, Tensor ids, Tensor positions, Tensor ends, Sequences.Source at) {
    TensorScope scope = pass.scope();
    int length = Math.toIntExact(ids.count());
    Sequences.Running text =
        new Sequences.Running(
            own(scope, length),
            scope.zeros(DType.INT32, 1, 1),
            scope.zeros(DType.INT32, length),
            positions,
            ends,
            null);
    Tensor x = EmbeddingOp.forward(pass, ids, embedding.value(), null, null, activations);
    x = ScaleOp.forward(pass, x, model.embedding().scaleOf(activations));
    for (Block block : blocks) {
      x = block.forward(pass, x, text, tables, null);
    }
    Tensor encoded = finalNorm.forward(pass, x);
    decoder.forEach(block -> block.keep(pass, encoded, at));
    return encoded;
  }

  /** Memory for keys and values of {@code length} tokens while they are encoded. */
  private KeyValueCache own(TensorScope scope, int length) {
    return new KeyValueCache(
        scope,
        activations,
        List.of(model.encoder().blocks().getFirst().attention()),
        1,
        1,
        length,
        0,
        0);
  }
}
