package panamoe.backend.abi;

import panamoe.backend.BalanceKernels;
import panamoe.bindings.Moe;
import panamoe.tensor.Tensor;

/** The load-balancing loss, by the native library. */
interface NativeBalance extends BalanceKernels, NativeLaunch {
  @Override
  default void balanceForward(Balance balance, Tensor scores, Tensor choice, Sums sums) {
    launch(
        "moe_balance_forward",
        (s, t, h) -> Moe.moe_balance_forward(s, t[0], t[1], t[2], t[3], h[0], h[1], h[2], h[3]),
        Structs.balance(balance),
        scores,
        choice,
        Structs.balanceSums(sums));
  }

  @Override
  default void balanceLoss(Balance balance, Sums sums, long sequences, Tensor loss) {
    launch(
        "moe_balance_loss",
        (s, t, h) -> Moe.moe_balance_loss(s, t[0], t[1], sequences, t[2], h[0], h[1], h[2], h[3]),
        Structs.balance(balance),
        Structs.balanceSums(sums),
        loss);
  }

  @Override
  default void balanceBackward(
      Balance balance, double dloss, Tensor scores, Sums sums, Tensor dlogits) {
    launch(
        "moe_balance_backward",
        (s, t, h) ->
            Moe.moe_balance_backward(s, t[0], dloss, t[1], t[2], t[3], h[0], h[1], h[2], h[3]),
        Structs.balance(balance),
        scores,
        Structs.balanceSums(sums),
        dlogits);
  }
}
