package panamoe.backend.abi;

import panamoe.backend.GemmKernels;
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
        Structs.gemm(transposeA, transposeB, accumulate),
        a,
        b,
        c,
        Structs.epilogue(epilogue));
  }

  @Override
  default void columnSum(Tensor x, Tensor y) {
    launch("moe_column_sum", x, y);
  }

  @Override
  default void pack(Tensor weights, Tensor packed) {
    launch("moe_gemm_pack", weights, packed);
  }
}
