package panamoe.backend.abi;

import panamoe.backend.BalanceKernels;
import panamoe.tensor.Tensor;

/** The load-balancing loss, by the native library. */
interface NativeBalance extends BalanceKernels, NativeLaunch {
  @Override
  default void balanceForward(Balance balance, Tensor scores, Tensor choice, Sums sums) {
    launch(
        "moe_balance_forward", Structs.balance(balance), scores, choice, Structs.balanceSums(sums));
  }

  @Override
  default void balanceLoss(Balance balance, Sums sums, long sequences, Tensor loss) {
    launch(
        "moe_balance_loss", Structs.balance(balance), Structs.balanceSums(sums), sequences, loss);
  }

  @Override
  default void balanceBackward(
      Balance balance, double dloss, Tensor scores, Sums sums, Tensor dlogits) {
    launch(
        "moe_balance_backward",
        Structs.balance(balance),
        dloss,
        scores,
        Structs.balanceSums(sums),
        dlogits);
  }
}
