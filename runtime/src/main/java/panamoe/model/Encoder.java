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
import panamoe.op.Pass;
import panamoe.param.Declarations;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** The encoder of a {@link LanguageModel}, as its {@link EncoderConfig} says. */
final class Encoder {
  private final ModelConfig model;
  private final List<Block> blocks = new ArrayList<>();
  private final RelativePositions relative;
  private final Norm finalNorm;
  private AttentionTables tables;

  Encoder(Declarations at, ModelConfig model) {
    EncoderConfig config = model.encoder();
    this.model = model;
    GroupedQueryConfig first = (GroupedQueryConfig) config.blocks().getFirst().attention();
    this.relative =
        new RelativePositions(
            at.in("relative_bias"), model.embedding().relative(), first.heads().query(), true);
    for (int layer = 0; layer < config.blocks().size(); layer++) {
      BlockConfig block = config.blocks().get(layer);
      // One layer's keys and values are read before the next layer's replace them.
      blocks.add(
          new Block(
              at.in("layers." + layer), "encoder layer " + layer, 0, model.hidden(), block, false));
    }
    this.finalNorm = new Norm(at.in("final_norm"), config.finalNorm(), model.hidden());
  }

  List<MoeLayer> moeLayers() {
    return blocks.stream().map(Block::moe).filter(Objects::nonNull).toList();
  }

  void makeTables(TensorScope scope) {
    relative.makeBuckets(scope);
    tables = new AttentionTables(scope, model.context(), List.of(), relative);
  }

  /** Keys and values of a text of {@code length} tokens, while it is read. */
  KeyValueCache cache(TensorScope scope, DType dtype, int length) {
    return new KeyValueCache(
        scope, dtype, List.of(model.encoder().blocks().getFirst().attention()), 1, 1, length, 0, 0);
  }

  /**
   * @param x embedded tokens [S, M], changed by every layer
   * @return [S, M], after the last norm
   */
  Tensor forward(Pass pass, Tensor x, Sequences.Running text) {
    for (Block block : blocks) {
      x = block.forward(pass, x, text, tables, null);
    }
    return finalNorm.forward(pass, x);
  }
}
