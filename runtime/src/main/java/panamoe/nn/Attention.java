package panamoe.nn;

import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionSettings;
import panamoe.config.AttentionConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.LatentAttentionConfig;
import panamoe.op.AttentionOp;
import panamoe.op.Pass;
import panamoe.param.Declarations;
import panamoe.tensor.Tensor;

/** Self-attention of the kind that an {@link AttentionConfig} describes. */
public sealed interface Attention permits SelfAttention, LatentAttention {

  /**
   * @param layer index of this layer in the key/value cache
   * @param hidden M
   * @throws IllegalArgumentException if the heads do not divide among the tensor ranks
   */
  static Attention of(Declarations at, int layer, int hidden, AttentionConfig config) {
    return switch (config) {
      case GroupedQueryConfig grouped -> new SelfAttention(at, layer, hidden, grouped);
      case LatentAttentionConfig latent -> new LatentAttention(at, layer, hidden, latent);
    };
  }

  /**
   * @param x [S, M]
   * @param tables of the model
   * @return [S, M]
   * @throws UnsupportedOperationException for a full mask over running sequences: a later token
   *     would change earlier results
   */
  Tensor forward(Pass pass, Tensor x, Sequences sequences, AttentionTables tables);

  /** The cost of {@link #forward}. */
  Cost cost(Work work);

  /**
   * Attention of the rows of a batch to their sequences.
   *
   * @param rows q [S, H, D], k and v [S, G, D]
   * @param bias by relative position, FLOAT32 [2R + 1, H]; null: none
   * @return S * H rows of D, in any shape
   */
  static Tensor attend(
      Pass pass,
      int layer,
      AttentionSettings settings,
      Sequences sequences,
      AttentionInputs rows,
      Tensor bias) {
    return switch (sequences) {
      case Sequences.Whole _ when bias != null ->
          throw new UnsupportedOperationException(
              "a model with relative positions generates text, but does not read whole sequences");
      case Sequences.Whole(_, int[] texts, _) -> AttentionOp.forward(pass, settings, rows, texts);
      case Sequences.Running(
              KeyValueCache cache,
              Tensor table,
              Tensor slots,
              Tensor positions,
              Tensor ends,
              _) -> {
        if (settings.mask() == AttentionSettings.Mask.FULL && ends == positions) {
          throw new UnsupportedOperationException(
              "a model with a FULL mask cannot generate: a later token would change earlier ones");
        }
        yield AttentionOp.decode(
            pass,
            settings.seeing(),
            rows,
            cache.places(layer, table, slots, positions),
            ends,
            bias);
      }
    };
  }
}
