package panamoe.backend;

import static panamoe.testkit.Compare.assertAgrees;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertRefused;
import static panamoe.testkit.Compare.assertSameBits;
import static panamoe.testkit.Compare.assertThreadInvariant;

import java.util.List;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.testkit.Compare;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.EveryNativeBackend;
import panamoe.testkit.Sample;

class GemmContractTest {
  private static final double TOLERANCE = 1e-5;
  private static final List<DType> DTYPES = List.of(DType.FLOAT32, DType.BFLOAT16);

  /** {@code [1 2 3; 4 5 6] [1 0; 2 1; 0 3]} in all four layouts. */
  @EveryBackend
  void multipliesInEveryLayout(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      Tensor[] a = {
        sample.floats(new float[] {1, 2, 3, 4, 5, 6}, 2, 3),
        sample.floats(new float[] {1, 4, 2, 5, 3, 6}, 3, 2)
      };
      Tensor[] b = {
        sample.floats(new float[] {1, 0, 2, 1, 0, 3}, 3, 2),
        sample.floats(new float[] {1, 2, 0, 0, 1, 3}, 2, 3)
      };
      Tensor bias = sample.floats(new float[] {-20, 0.5f}, 2);
      for (int layout = 0; layout < 4; layout++) {
        boolean transposeA = layout % 2 == 1;
        boolean transposeB = layout / 2 == 1;
        Tensor left = a[layout % 2];
        Tensor right = b[layout / 2];
        Tensor c = sample.unset(2, 2);
        Tensor before = sample.unset(2, 2);
        backend.gemm(
            transposeA,
            transposeB,
            false,
            left,
            right,
            c,
            new GemmKernels.Epilogue(Activation.RELU, bias, before));
        assertClose(new double[] {-15, 11.5, -6, 23.5}, before, TOLERANCE);
        assertClose(new double[] {0, 11.5, 0, 23.5}, c, TOLERANCE);
        backend.gemm(transposeA, transposeB, true, left, right, c, GemmKernels.Epilogue.NONE);
        assertClose(new double[] {5, 22.5, 14, 46.5}, c, TOLERANCE);
      }
    }
  }

  /** The epilogue is the activation of the saved pre-activation. */
  @EveryBackend
  void activatesWhatItSaves(Backend backend) {
    for (Activation activation : Activation.BUILT_IN) {
      try (Sample sample = new Sample(backend, 2)) {
        int columns = 10;
        Tensor before = sample.unset(5, columns);
        Tensor c = sample.unset(5, columns / activation.inputsPerOutput());
        Tensor separate = sample.unset(5, columns / activation.inputsPerOutput());
        backend.gemm(
            false,
            true,
            false,
            sample.normal(5, 7),
            sample.normal(columns, 7),
            c,
            new GemmKernels.Epilogue(activation, sample.normal(columns), before));
        backend.activationForward(activation, before, separate);
        assertClose(separate, c, 1e-6);
      }
    }
  }

  @EveryBackend
  void addsTheAddendBeforeTheActivation(Backend backend) {
    try (Sample sample = new Sample(backend, 2)) {
      Tensor a = sample.floats(new float[] {1, 2, 0, 0, 1, 3}, 2, 3);
      Tensor b = sample.floats(new float[] {1, 2, 0, 0, 1, 3}, 2, 3);
      Tensor bias = sample.floats(new float[] {-20, 0.5f}, 2);
      Tensor addend = sample.floats(new float[] {16, -12, 0, 1}, 2, 2);
      Tensor c = sample.unset(2, 2);
      Tensor before = sample.unset(2, 2);
      GemmKernels.Epilogue epilogue =
          new GemmKernels.Epilogue(Activation.RELU, bias, before, addend);
      backend.gemm(false, true, false, a, b, c, epilogue);
      assertClose(new double[] {1, -9.5, -18, 11.5}, before, TOLERANCE);
      assertClose(new double[] {1, 0, 0, 11.5}, c, TOLERANCE);
      GemmKernels.Epilogue alone =
          new GemmKernels.Epilogue(Activation.IDENTITY, null, null, addend);
      assertRefused("accumulat", () -> backend.gemm(false, true, true, a, b, c, alone));
      assertRefused(
          "addend has shape [2, 2], expected [2, 3]",
          () -> backend.gemm(false, false, false, c, a, sample.unset(2, 3), alone));
      assertRefused("share memory", () -> backend.gemm(false, true, false, a, b, addend, alone));
    }
  }

  @EveryBackend
  void anEmptyInnerDimensionLeavesTheBias(Backend backend) {
    try (Sample sample = new Sample(backend, 3)) {
      Tensor c = sample.unset(2, 3);
      Tensor bias = sample.floats(new float[] {1, 2, 3}, 3);
      backend.gemm(
          false,
          true,
          false,
          sample.normal(2, 0),
          sample.normal(3, 0),
          c,
          new GemmKernels.Epilogue(Activation.IDENTITY, bias, null));
      assertClose(new double[] {1, 2, 3, 1, 2, 3}, c, 0);
    }
  }

  @EveryBackend
  void packedWeightsGiveTheSameProduct(Backend backend) {
    for (DType dtype : DTYPES) {
      try (Sample sample = new Sample(backend, 4)) {
        Tensor a = sample.normal(9, 37);
        Tensor b = sample.normal(dtype, 45, 37);
        Tensor packed =
            sample.scope().allocatePacked(dtype, backend.packedBytes(dtype, 45, 37), 45, 37);
        Tensor c = sample.unset(9, 45);
        Tensor fromPacked = sample.unset(9, 45);
        backend.pack(b, packed);
        backend.gemm(false, true, false, a, b, c, GemmKernels.Epilogue.NONE);
        backend.gemm(false, true, false, a, packed, fromPacked, GemmKernels.Epilogue.NONE);
        assertSameBits(c, fromPacked);
      }
    }
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    int[][] shapes = {
      {1, 1, 1}, {1, 65, 33}, {5, 48, 7}, {37, 130, 129}, {64, 64, 64}, {3, 2, 600}
    };
    for (int[] shape : shapes) {
      for (DType a : DTYPES) {
        for (DType b : DTYPES) {
          for (int layout = 0; layout < 4; layout++) {
            int chosen = layout;
            assertAgrees(
                backend,
                shape[0] + layout,
                TOLERANCE,
                (on, sample) -> product(on, sample, chosen % 2 == 1, chosen / 2 == 1, a, b, shape));
          }
        }
      }
    }
  }

  @EveryNativeBackend
  void activationsAgreeWithTheReference(Backend backend) {
    for (Activation activation : Activation.BUILT_IN) {
      for (DType dtype : DTYPES) {
        assertAgrees(
            backend,
            5,
            TOLERANCE,
            (on, sample) -> {
              Tensor c = sample.unset(dtype, 19, 70 / activation.inputsPerOutput());
              Tensor before = sample.unset(dtype, 19, 70);
              on.gemm(
                  false,
                  true,
                  false,
                  sample.normal(dtype, 19, 40),
                  sample.normal(dtype, 70, 40),
                  c,
                  new GemmKernels.Epilogue(activation, sample.normal(70), before));
              return List.of(c, before);
            });
      }
    }
  }

  @EveryNativeBackend
  void threadsDoNotChangeABit(Backend backend) {
    for (int layout = 0; layout < 4; layout++) {
      int chosen = layout;
      assertThreadInvariant(
          backend,
          6,
          (on, sample) ->
              product(
                  on,
                  sample,
                  chosen % 2 == 1,
                  chosen / 2 == 1,
                  DType.FLOAT32,
                  DType.BFLOAT16,
                  new int[] {131, 157, 211}));
    }
  }

  @EveryBackend
  void aRowDoesNotDependOnTheRowsBesideIt(Backend backend) {
    for (DType dtype : DTYPES) {
      try (Sample sample = new Sample(backend, 7)) {
        Tensor a = sample.normal(dtype, 67, 53);
        Tensor b = sample.normal(dtype, 41, 53);
        Tensor bias = sample.normal(41);
        Tensor all = sample.unset(67, 41);
        backend.gemm(
            false, true, false, a, b, all, new GemmKernels.Epilogue(Activation.GELU, bias, null));
        for (int[] range : new int[][] {{0, 1}, {40, 41}, {30, 33}, {5, 66}}) {
          Tensor some = sample.unset(range[1] - range[0], 41);
          backend.gemm(
              false,
              true,
              false,
              a.rows(range[0], range[1]),
              b,
              some,
              new GemmKernels.Epilogue(Activation.GELU, bias, null));
          assertSameBits(all.rows(range[0], range[1]), some);
        }
      }
    }
  }

  @EveryBackend
  void columnSumAdds(Backend backend) {
    try (Sample sample = new Sample(backend, 8)) {
      Tensor y = sample.floats(new float[] {100, 200}, 2);
      backend.columnSum(sample.floats(new float[] {1, 2, 3, 4, 5, 6}, 3, 2), y);
      assertClose(new double[] {109, 212}, y, 0);
    }
  }

  @EveryNativeBackend
  void columnSumAgreesWithTheReference(Backend backend) {
    for (DType dtype : DTYPES) {
      Compare.Kernel columnSum =
          (on, sample) -> {
            Tensor y = sample.normal(77);
            on.columnSum(sample.normal(dtype, 1003, 77), y);
            return List.of(y);
          };
      assertAgrees(backend, 9, TOLERANCE, columnSum);
      assertThreadInvariant(backend, 9, columnSum);
    }
  }

  @EveryBackend
  void refusesWhatDoesNotFit(Backend backend) {
    try (Sample sample = new Sample(backend, 10)) {
      Tensor a = sample.normal(2, 3);
      Tensor c = sample.unset(2, 4);
      assertRefused(
          "3",
          () ->
              backend.gemm(
                  false, true, false, a, sample.normal(4, 5), c, GemmKernels.Epilogue.NONE));
      assertRefused(
          "bias has shape [5], expected [4]",
          () ->
              backend.gemm(
                  false,
                  true,
                  false,
                  a,
                  sample.normal(4, 3),
                  c,
                  new GemmKernels.Epilogue(Activation.IDENTITY, sample.normal(5), null)));
      assertRefused(
          "accumulat",
          () ->
              backend.gemm(
                  false,
                  true,
                  true,
                  a,
                  sample.normal(4, 3),
                  c,
                  GemmKernels.Epilogue.of(Activation.RELU)));
      assertRefused(
          "share memory",
          () ->
              backend.gemm(
                  false, true, false, a, sample.normal(3, 3), a, GemmKernels.Epilogue.NONE));
      assertRefused("dtype", () -> backend.packedBytes(DType.INT32, 2, 3));
      assertRefused("rank", () -> backend.packedBytes(DType.FLOAT32, 2));
    }
  }

  private static List<Tensor> product(
      Backend on,
      Sample sample,
      boolean transposeA,
      boolean transposeB,
      DType dtypeA,
      DType dtypeB,
      int[] shape) {
    int rows = shape[0];
    int columns = shape[1];
    int inner = shape[2];
    Tensor a = transposeA ? sample.normal(dtypeA, inner, rows) : sample.normal(dtypeA, rows, inner);
    Tensor b =
        transposeB ? sample.normal(dtypeB, columns, inner) : sample.normal(dtypeB, inner, columns);
    Tensor c = sample.unset(rows, columns);
    Tensor sum = sample.normal(rows, columns);
    on.gemm(
        transposeA,
        transposeB,
        false,
        a,
        b,
        c,
        new GemmKernels.Epilogue(
            Activation.IDENTITY,
            sample.normal(columns),
            null,
            sample.normal(dtypeA, rows, columns)));
    on.gemm(transposeA, transposeB, true, a, b, sum, GemmKernels.Epilogue.NONE);
    return List.of(c, sum);
  }
}
