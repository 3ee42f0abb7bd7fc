package panamoe.backend.abi;

import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.Routes;
import panamoe.tensor.Tensor;

/** The gate, by the native library. */
interface NativeGate extends GateKernels, NativeLaunch {
  @Override
  default void gateForward(GateSettings settings, Inputs inputs, Routes routes) {
    launch(
        "moe_gate_forward",
        Structs.gate(settings),
        Structs.gateInputs(inputs),
        Structs.routes(routes));
  }

  @Override
  default void gateBackward(
      GateSettings settings,
      Inputs inputs,
      Routes routes,
      Tensor dweight,
      float dauxiliary,
      float dz,
      Tensor dlogits) {
    launch(
        "moe_gate_backward",
        Structs.gate(settings),
        Structs.gateInputs(inputs),
        Structs.routes(routes),
        Structs.gateGradients(dauxiliary, dz, dweight, dlogits));
  }
}
