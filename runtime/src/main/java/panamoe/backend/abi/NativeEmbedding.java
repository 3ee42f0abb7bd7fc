package panamoe.backend.abi;

import panamoe.backend.EmbeddingKernels;
import panamoe.bindings.Moe;
import panamoe.tensor.Tensor;

/** Embedding, by the native library. */
interface NativeEmbedding extends EmbeddingKernels, NativeLaunch {
  @Override
  default void embeddingForward(
      Tensor ids, Tensor table, Tensor positions, Tensor positionTable, Tensor y) {
    launch(
        "moe_embedding_forward",
        (s, t, h) ->
            Moe.moe_embedding_forward(s, t[0], t[1], t[2], t[3], t[4], h[0], h[1], h[2], h[3]),
        ids,
        table,
        positions,
        positionTable,
        y);
  }

  @Override
  default void embeddingBackward(
      Tensor ids, Tensor positions, Tensor dy, Tensor dtable, Tensor dpositionTable) {
    launch(
        "moe_embedding_backward",
        (s, t, h) ->
            Moe.moe_embedding_backward(s, t[0], t[1], t[2], t[3], t[4], h[0], h[1], h[2], h[3]),
        ids,
        positions,
        dy,
        dtable,
        dpositionTable);
  }
}
