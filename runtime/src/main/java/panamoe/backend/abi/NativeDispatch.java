package panamoe.backend.abi;

import panamoe.backend.DispatchKernels;
import panamoe.backend.Routes;
import panamoe.bindings.Moe;
import panamoe.tensor.Tensor;

/** Dispatch, by the native library. */
interface NativeDispatch extends DispatchKernels, NativeLaunch {
  @Override
  default void dispatchForward(Tensor x, Routes routes, Tensor rows) {
    launch(
        "moe_dispatch_forward",
        (s, t, h) -> Moe.moe_dispatch_forward(s, t[0], t[1], t[2], h[0], h[1], h[2], h[3]),
        x,
        Structs.routes(routes),
        rows);
  }

  @Override
  default void dispatchBackward(Tensor drows, Routes routes, Tensor dx) {
    launch(
        "moe_dispatch_backward",
        (s, t, h) -> Moe.moe_dispatch_backward(s, t[0], t[1], t[2], h[0], h[1], h[2], h[3]),
        drows,
        Structs.routes(routes),
        dx);
  }
}
