package panamoe.backend.reference;

import panamoe.backend.Activation;
import panamoe.backend.GemmKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Dense matrix products. A packed operand is row-major here. If transposed weights are in blocks
 * and not {@link Tensor#exact}, the other operand's rows are rounded by {@link Blocks#rounded}.
 */
interface ReferenceGemm extends GemmKernels, ReferenceContext {

  @Override
  default void gemm(
      boolean transposeA,
      boolean transposeB,
      boolean accumulate,
      Tensor a,
      Tensor b,
      Tensor c,
      Epilogue epilogue) {
    Activation activation = epilogue.activation();
    Tensor bias = epilogue.bias();
    Tensor preactivation = epilogue.preactivation();
    Tensor addend = epilogue.addend();
    launch(
        () -> {
          Check.require(activation != null, "activation is null");
          Check.tensor("a", a, Kind.FLOATING, Check.ANY, Check.ANY);
          Check.weights("b", b, Check.ANY, Check.ANY);
          long rows = a.size(transposeA ? 1 : 0);
          long inner = a.size(transposeA ? 0 : 1);
          long columns = b.size(transposeB ? 0 : 1);
          Check.weights("b", b, transposeB ? columns : inner, transposeB ? inner : columns);
          Check.optional("bias", bias, Kind.FLOAT32, columns);
          checkOutput("c", activation, rows, columns, c);
          Check.optional("preactivation", preactivation, Kind.FLOATING, rows, columns);
          Check.optional("addend", addend, Kind.FLOATING, rows, columns);
          Check.require(
              !accumulate || epilogue.isNone(),
              "accumulating takes no bias, no addend, no activation and no preactivation");
          Check.require(
              !b.packed() || transposeB || epilogue.isNone(),
              "packed b that is not transposed takes no epilogue");
          Check.disjoint("a", a, "c", c);
          Check.disjoint("b", b, "c", c);
          Check.disjoint("c", c, "preactivation", preactivation);
          Check.disjoint("c", c, "addend", addend);
          Check.disjoint("preactivation", preactivation, "addend", addend);

          double[][] left = transposeA ? Values.readColumns(a) : Values.readRows(a);
          left = transposeB && Blocks.rounds(b) ? Blocks.rounded(left) : left;
          double[][] right = transposeB ? Values.readRows(b) : Values.readColumns(b);
          double[] shift = bias == null ? new double[right.length] : Values.read(bias);
          double[][] sums =
              addend == null ? new double[(int) rows][(int) columns] : Values.readRows(addend);
          for (int m = 0; m < rows; m++) {
            for (int n = 0; n < columns; n++) {
              sums[m][n] += Vectors.dot(left[m], right[n]) + shift[n];
            }
          }
          if (preactivation != null) {
            Values.write(sums, preactivation);
          }
          double[][] previous = Values.readRows(c);
          for (int m = 0; m < rows; m++) {
            if (accumulate) {
              Vectors.addScaled(sums[m], 1, previous[m]);
            } else {
              sums[m] = Activations.forward(activation, sums[m]);
            }
          }
          Values.write(sums, c);
        });
  }

  @Override
  default void columnSum(Tensor x, Tensor y) {
    launch(
        () -> {
          Check.tensor("x", x, Kind.FLOATING, Check.ANY, Check.ANY);
          Check.tensor("y", y, Kind.FLOAT32, x.size(1));
          Check.disjoint("x", x, "y", y);
          double[] sum = Values.read(y);
          for (double[] row : Values.readRows(x)) {
            Vectors.addScaled(sum, 1, row);
          }
          Values.write(sum, y);
        });
  }

  @Override
  default long packedBytes(DType dtype, long... shape) {
    Check.require(
        dtype != null && (dtype.isFloating() || dtype.isBlocks()),
        "dtype is " + dtype + ", expected float32, bfloat16 or blocks");
    Check.require(
        shape.length == 2 || shape.length == 3, "rank is " + shape.length + ", expected 2 or 3");
    long inner = shape[shape.length - 1];
    Check.require(
        inner % dtype.blockElements() == 0,
        "K is " + inner + ", expected whole blocks of " + dtype.blockElements());
    return Math.multiplyExact(Tensor.count(shape) / dtype.blockElements(), dtype.blockBytes());
  }

  @Override
  default void pack(Tensor weights, Tensor packed) {
    launch(
        () -> {
          boolean blocks = packed.dtype().isBlocks();
          Check.require(
              !blocks || weights.dtype() == packed.dtype() && !weights.packed(),
              () -> "weights is " + weights + ", expected " + packed.dtype() + " row-major");
          if (!blocks) {
            Check.elements("weights", weights, Kind.FLOATING, Check.ANY);
          }
          Check.weights("packed", packed, weights.shape());
          Check.require(
              packed.packed() && packed.matrices().isEmpty(),
              "packed is row-major or a stack of packed matrices, expected one packed tensor");
          Check.require(
              packed.bytes() >= packedBytes(packed.dtype(), packed.shape()),
              "packed has " + packed.bytes() + " bytes, too few for " + weights);
          Check.disjoint("weights", weights, "packed", packed);
          if (blocks) {
            packed.data().copyFrom(weights.data());
          } else {
            Values.write(Values.read(weights), packed);
          }
        });
  }

  /** The output [R, N] of a product with N columns before the activation. */
  static void checkOutput(
      String name, Activation activation, long rows, long columns, Tensor output) {
    long perOutput = activation.inputsPerOutput();
    Check.require(
        columns % perOutput == 0,
        activation + " needs an even number of columns, the product has " + columns);
    Check.tensor(name, output, Kind.FLOATING, rows, columns / perOutput);
  }
}
