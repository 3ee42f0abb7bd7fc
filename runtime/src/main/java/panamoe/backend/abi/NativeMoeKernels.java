package panamoe.backend.abi;

import panamoe.backend.BalanceKernels;
import panamoe.backend.CombineKernels;
import panamoe.backend.DispatchKernels;
import panamoe.backend.ExpertKernels;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.GemmKernels;
import panamoe.backend.Routes;
import panamoe.bindings.Moe;
import panamoe.tensor.RowBlocks;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorDevice;

/** The kernels of MoE layers, by the native library. */
interface NativeMoeKernels
    extends GateKernels,
        BalanceKernels,
        DispatchKernels,
        TensorDevice,
        ExpertKernels,
        CombineKernels,
        NativeContext {
  @Override
  default void gateForward(GateSettings settings, GateKernels.Inputs inputs, Routes routes) {
    launch(
        "moe_gate_forward",
        Structs.gate(settings),
        Structs.gateInputs(inputs),
        Structs.routes(routes));
  }

  @Override
  default void gateBackward(
      GateSettings settings,
      GateKernels.Inputs inputs,
      Routes routes,
      Tensor dweight,
      LossGradients losses,
      Tensor dlogits) {
    launch(
        "moe_gate_backward",
        Structs.gate(settings),
        Structs.gateInputs(inputs),
        Structs.routes(routes),
        Structs.gateGradients(losses, dweight, dlogits));
  }

  @Override
  default void balanceForward(Balance balance, Tensor scores, Tensor choice, Sums sums) {
    launch(
        "moe_balance_forward", Structs.balance(balance), scores, choice, Structs.balanceSums(sums));
  }

  @Override
  default void balanceJoin(Tensor parts, Sums sums, Tensor z) {
    launch("moe_balance_join", parts, Structs.balanceSums(sums), z);
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

  @Override
  default void dispatchForward(Tensor x, Routes routes, Tensor rows) {
    launch("moe_dispatch_forward", x, Structs.routes(routes), rows);
  }

  @Override
  default void dispatchBackward(Tensor drows, Routes routes, Tensor dx) {
    launch("moe_dispatch_backward", drows, Structs.routes(routes), dx);
  }

  @Override
  default void slotStarts(long rows, Tensor offsets, Tensor slots, Tensor starts) {
    launch("moe_slot_starts", rows, offsets, slots, starts);
  }

  @Override
  default void slotRoutes(
      long counts, Tensor slots, Tensor expert, Tensor position, Tensor offsets) {
    launch("moe_slot_routes", counts, slots, expert, position, offsets);
  }

  @Override
  default void copyBlocks(RowBlocks blocks, Tensor x, Tensor y) {
    int count = blocks.rows().length;
    for (int first = 0; first == 0 || first < count; first += Moe.MOE_MAX_BLOCKS()) {
      Struct some = Structs.blocks(blocks, first, Math.min(count - first, Moe.MOE_MAX_BLOCKS()));
      launch("moe_block_copy", some, x, y);
    }
  }

  @Override
  default void expertForward(
      Tensor x, Tensor offsets, Tensor weights, Tensor y, GemmKernels.Epilogue epilogue) {
    launch("moe_expert_forward", x, offsets, weights, y, Structs.epilogue(epilogue));
  }

  @Override
  default void expertBackwardInput(Tensor dy, Tensor offsets, Tensor weights, Tensor dx) {
    launch("moe_expert_backward_input", dy, offsets, weights, dx);
  }

  @Override
  default void expertBackwardWeights(
      boolean accumulate, Tensor dy, Tensor x, Tensor offsets, Tensor dweights, Tensor dbias) {
    int adding = accumulate ? 1 : 0;
    launch("moe_expert_backward_weights", adding, dy, x, offsets, dweights, dbias);
  }

  @Override
  default void combineForward(CombineKernels.Inputs inputs, Routes routes, Tensor y) {
    launch("moe_combine_forward", Structs.combineInputs(inputs), Structs.routes(routes), y);
  }

  @Override
  default void combineBackward(
      Tensor dy, CombineKernels.Inputs inputs, Routes routes, CombineKernels.Gradients gradients) {
    launch(
        "moe_combine_backward",
        dy,
        Structs.combineInputs(inputs),
        Structs.routes(routes),
        Structs.combineGradients(gradients));
  }
}
