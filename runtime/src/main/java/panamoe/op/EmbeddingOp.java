package panamoe.op;

import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** Token embedding, plus a learned position embedding where there is one. */
public final class EmbeddingOp {
  private EmbeddingOp() {}

  /** Rows of a row-major table by {@code ids} [S], in its dtype. */
  public static Tensor forward(Pass pass, Tensor ids, Tensor table) {
    return forward(pass, ids, table, null, null, table.dtype());
  }

  /**
   * @param ids INT32 [S]
   * @param table [V, M]; in inference perhaps packed, also in blocks
   * @param positions INT32 [S], null without position table
   * @param positionTable [P, M] or null
   * @param dtype of the result, FLOAT32 or BFLOAT16
   * @return [S, M]
   */
  public static Tensor forward(
      Pass pass, Tensor ids, Tensor table, Tensor positions, Tensor positionTable, DType dtype) {
    Tensor y = pass.allocate(dtype, ids.count(), table.size(1));
    Tensor usedPositions = positionTable == null ? null : positions;
    pass.backend().embeddingForward(ids, table, usedPositions, positionTable, y);
    pass.record(y, dy -> backward(pass, ids, table, usedPositions, positionTable, dy));
    return y;
  }

  private static void backward(
      Pass pass, Tensor ids, Tensor table, Tensor positions, Tensor positionTable, Tensor dy) {
    Tensor dtable = pass.tape().parameterGradient(table);
    if (dtable != null) {
      Tensor dpositionTable = pass.tape().parameterGradient(positionTable);
      pass.backend()
          .embeddingBackward(
              ids, dpositionTable == null ? null : positions, dy, dtable, dpositionTable);
    }
    dy.owner().release();
  }
}
