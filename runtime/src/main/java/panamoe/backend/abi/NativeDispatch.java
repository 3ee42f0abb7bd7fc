package panamoe.backend.abi;

import panamoe.backend.DispatchKernels;
import panamoe.backend.Routes;
import panamoe.tensor.Tensor;

/** Dispatch, by the native library. */
interface NativeDispatch extends DispatchKernels, NativeLaunch {
  @Override
  default void dispatchForward(Tensor x, Routes routes, Tensor rows) {
    launch("moe_dispatch_forward", x, Structs.routes(routes), rows);
  }

  @Override
  default void dispatchBackward(Tensor drows, Routes routes, Tensor dx) {
    launch("moe_dispatch_backward", drows, Structs.routes(routes), dx);
  }
}
