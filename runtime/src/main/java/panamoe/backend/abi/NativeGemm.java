package panamoe.backend.abi;

import panamoe.backend.GemmKernels;
import panamoe.bindings.Moe;
import panamoe.tensor.Tensor;

/** Matrix products, by the native library. */
interface NativeGemm extends GemmKernels, NativeLaunch {
  @Override
  default void gemm(
      boolean transposeA,
      boolean transposeB,
      boolean accumulate,
      Tensor a,
      Tensor b,
      Tensor c,
      Epilogue epilogue) {
    launch(
        "moe_gemm",
        (s, t, h) -> Moe.moe_gemm(s, t[0], t[1], t[2], t[3], t[4], h[0], h[1], h[2], h[3]),
        Structs.gemm(transposeA, transposeB, accumulate),
        a,
        b,
        c,
        Structs.epilogue(epilogue));
  }

  @Override
  default void columnSum(Tensor x, Tensor y) {
    launch(
        "moe_column_sum",
        (s, t, h) -> Moe.moe_column_sum(s, t[0], t[1], h[0], h[1], h[2], h[3]),
        x,
        y);
  }

  @Override
  default void pack(Tensor weights, Tensor packed) {
    launch(
        "moe_gemm_pack",
        (s, t, h) -> Moe.moe_gemm_pack(s, t[0], t[1], h[0], h[1], h[2], h[3]),
        weights,
        packed);
  }
}
