package panamoe.backend;

import panamoe.tensor.Tensor;

/** Token and learned position embeddings. */
public interface EmbeddingKernels {
  /**
   * {@code y[s] = table[ids[s]] + positionTable[positions[s]]}. ids, positions INT32 [S]; table [V,
   * M], row-major or packed, perhaps in blocks; positionTable [P, M]; y [S, M]. positions and
   * positionTable are null together.
   */
  void embeddingForward(Tensor ids, Tensor table, Tensor positions, Tensor positionTable, Tensor y);

  /**
   * {@code dtable[ids[s]] += dy[s]}, {@code dpositionTable[positions[s]] += dy[s]}; both FLOAT32.
   */
  void embeddingBackward(
      Tensor ids, Tensor positions, Tensor dy, Tensor dtable, Tensor dpositionTable);
}
