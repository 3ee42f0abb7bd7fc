package panamoe.backend;

import panamoe.backend.GateSettings.Score;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Balance of a gate: sums over tokens for load-balancing losses and statistics, such a loss, and
 * its gradient.
 */
public interface BalanceKernels {
  /**
   * @param score function of the scores
   * @param choices of a token that count, 1 to K
   * @param normalized whether a token's scores are divided by their sum
   */
  record Balance(Score score, int choices, boolean normalized) {}

  /**
   * Sums over the used tokens of each of G sequences of equal length; G is 1 for the whole batch.
   *
   * @param used INT32 [G], used tokens
   * @param chosen INT32 [G, E], counted choices of each expert, before dropping
   * @param scores FLOAT64 [G, E]
   * @param entropy FLOAT64 [G] or null: entropy of the scores divided by their sum, in nats
   */
  record Sums(Tensor used, Tensor chosen, Tensor scores, Tensor entropy) {
    /** Allocates sums without the entropy. */
    public static Sums allocate(TensorScope scope, long sequences, long experts) {
      return new Sums(
          scope.allocate(DType.INT32, sequences),
          scope.allocate(DType.INT32, sequences, experts),
          scope.allocate(DType.FLOAT64, sequences, experts),
          null);
    }

    /** Bytes of sums without the entropy. */
    public static double bytes(double sequences, int experts) {
      return sequences * (4 + experts * (4.0 + 8));
    }
  }

  /** Writes {@code sums} from the gate's scores FLOAT32 [S, E] and choice INT32 [S, K]. */
  void balanceForward(Balance balance, Tensor scores, Tensor choice, Sums sums);

  /**
   * The sums of one of the parts of a batch, which several ranks have: views into a row for {@link
   * #balanceJoin}.
   *
   * @param row FLOAT64 [1, elements]
   * @param z FLOAT32 [1], the mean of the z loss over the part's used tokens
   */
  record BatchPart(Tensor row, Sums sums, Tensor z) {
    public static BatchPart allocate(TensorScope scope, int experts) {
      return of(scope.allocate(DType.FLOAT64, 1, elements(experts)), experts);
    }

    /** Of a row. */
    public static BatchPart of(Tensor row, int experts) {
      Sums sums =
          new Sums(
              row.part(12L * experts, DType.INT32, 1),
              row.part(8L * experts, DType.INT32, 1, experts),
              row.part(0, DType.FLOAT64, 1, experts),
              null);
      return new BatchPart(row, sums, row.part(12L * experts + 4, DType.FLOAT32, 1));
    }

    /** Elements of a row. */
    public static long elements(int experts) {
      return experts + (experts + 3L) / 2;
    }
  }

  /**
   * Writes the sums of one sequence, and its z loss FLOAT32 [1], from its parts: rows of {@link
   * BatchPart}, added in order.
   */
  void balanceJoin(Tensor parts, Sums sums, Tensor z);

  /**
   * Writes to {@code loss} FLOAT32 [1] the sum of the sequences' losses divided by {@code
   * sequences}, each {@code E / (choices * used^2) * sum_e chosen[e] * scores[e]}, 0 without used
   * tokens.
   *
   * @param sequences at least 1; may include other ranks' sequences
   */
  void balanceLoss(Balance balance, Sums sums, long sequences, Tensor loss);

  /**
   * dlogits FLOAT32 [S, E] is {@code dloss} times the gradient of the sum of the sequences' losses,
   * each as in {@link #balanceLoss}. Of {@code sums} it reads used and chosen, which count as
   * constants and may be sums over several ranks.
   */
  void balanceBackward(Balance balance, double dloss, Tensor scores, Sums sums, Tensor dlogits);
}
