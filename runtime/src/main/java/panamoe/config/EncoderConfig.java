package panamoe.config;

import java.util.List;
import java.util.Objects;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.io.Require;

/**
 * The encoder of an encoder-decoder (T5, Switch Transformers): it encodes a whole sequence, to
 * which every block of the decoder attends between self-attention and MLP or experts, with a norm
 * and heads like those of self-attention. Both share the token embedding; each has a bias by
 * relative position.
 *
 * @param blocks one for each layer, with a FULL mask
 * @param startToken the decoder's first token
 */
public record EncoderConfig(List<BlockConfig> blocks, NormConfig finalNorm, int startToken) {
  public EncoderConfig {
    Require.present("blocks", blocks);
    if (blocks.isEmpty()
        || blocks.size() > ModelConfig.MAX_LAYERS
        || blocks.stream().anyMatch(Objects::isNull)) {
      throw Require.refusal(
          "the encoder has %s blocks, expected 1 to %s and no null",
          blocks.size(), ModelConfig.MAX_LAYERS);
    }
    blocks = List.copyOf(blocks);
    Require.present("finalNorm", finalNorm);
    Require.notNegative("startToken", startToken);
  }

  /** This encoder with other blocks. */
  EncoderConfig withBlocks(List<BlockConfig> others) {
    return new EncoderConfig(others, finalNorm, startToken);
  }

  /**
   * The cross-attention of a decoder's block.
   *
   * @param own its self-attention
   */
  public static GroupedQueryConfig cross(AttentionConfig own) {
    GroupedQueryConfig like = (GroupedQueryConfig) own;
    return new GroupedQueryConfig(
        like.heads(),
        like.biases(),
        null,
        null,
        null,
        new AttentionConfig.Scores(Mask.FULL, 0, false, like.scores().scale()));
  }

  /** Refuses a decoder that does not fit this encoder. */
  void requireFits(int vocabulary, EmbeddingConfig embedding, List<BlockConfig> decoder) {
    if (startToken >= vocabulary) {
      throw new IllegalArgumentException(
          "startToken is " + startToken + ", which is none of 0 to " + (vocabulary - 1));
    }
    Require.that(
        embedding.relative() != null && embedding.positions() == EmbeddingConfig.Positions.NONE,
        "a model with an encoder knows positions by a relative bias alone");
    blocks.forEach(block -> requireScores(block, Mask.FULL));
    decoder.forEach(block -> requireScores(block, Mask.CAUSAL));
    GroupedQueryConfig first = (GroupedQueryConfig) blocks.getFirst().attention();
    if (blocks.stream()
        .anyMatch(
            block -> !((GroupedQueryConfig) block.attention()).heads().equals(first.heads()))) {
      throw new IllegalArgumentException("all blocks of an encoder have the same heads");
    }
  }

  private static void requireScores(BlockConfig block, Mask mask) {
    AttentionConfig.Scores scores = block.attention().scores();
    Require.that(
        scores.mask() == mask,
        "the mask of a block is %s, expected FULL in an encoder and CAUSAL in its decoder",
        scores.mask());
    Require.that( // cross-attention has neither
        scores.softCap() == null && ((GroupedQueryConfig) block.attention()).temperature() == null,
        "a model with an encoder has attention without softCap and temperature");
  }
}
