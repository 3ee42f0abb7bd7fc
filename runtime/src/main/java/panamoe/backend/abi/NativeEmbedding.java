package panamoe.backend.abi;

import panamoe.backend.EmbeddingKernels;
import panamoe.tensor.Tensor;

/** Embedding, by the native library. */
interface NativeEmbedding extends EmbeddingKernels, NativeLaunch {
  @Override
  default void embeddingForward(
      Tensor ids, Tensor table, Tensor positions, Tensor positionTable, Tensor y) {
    launch("moe_embedding_forward", ids, table, positions, positionTable, y);
  }

  @Override
  default void embeddingBackward(
      Tensor ids, Tensor positions, Tensor dy, Tensor dtable, Tensor dpositionTable) {
    launch("moe_embedding_backward", ids, positions, dy, dtable, dpositionTable);
  }
}
