package panamoe.backend.reference;

import java.util.Arrays;
import java.util.List;
import panamoe.backend.Activation;
import panamoe.backend.ExpertKernels;
import panamoe.backend.GemmKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.Tensor;

/**
 * Multiplies each row by its expert's weights; rows are grouped by expert. Rows past the last group
 * are left unchanged.
 */
interface ReferenceExpert extends ExpertKernels, ReferenceContext {

  @Override
  default void expertForward(
      Tensor x, Tensor offsets, Tensor weights, Tensor y, GemmKernels.Epilogue epilogue) {
    Activation activation = epilogue.activation();
    Tensor bias = epilogue.bias();
    Tensor preactivation = epilogue.preactivation();
    Tensor addend = epilogue.addend();
    launch(
        () -> {
          Check.require(activation != null, "activation is null");
          Check.tensor("x", x, Kind.FLOATING, Check.ANY, Check.ANY);
          Check.weights("weights", weights, Check.ANY, Check.ANY, x.size(1));
          long width = weights.size(1);
          checkOffsets(offsets, weights.size(0), x.size(0));
          Check.optional("bias", bias, Kind.FLOAT32, weights.size(0), width);
          ReferenceGemm.checkOutput("y", activation, x.size(0), width, y);
          Check.optional("preactivation", preactivation, Kind.FLOATING, x.size(0), width);
          Check.optional("addend", addend, Kind.FLOATING, x.size(0), width);
          Check.disjoint("x", x, "y", y);
          Check.disjoint("y", y, "preactivation", preactivation);
          Check.disjoint("y", y, "addend", addend);
          Check.disjoint("preactivation", preactivation, "addend", addend);

          double[][] rows = Values.readRows(x);
          List<Tensor> each = partsOf(weights);
          double[][] rounded = each.stream().anyMatch(Blocks::rounds) ? Blocks.rounded(rows) : rows;
          double[][] w = rowsOf(weights);
          double[] shift = bias == null ? new double[w.length] : Values.read(bias);
          double[][] out = Values.readRows(y);
          double[][] added =
              addend == null ? new double[rows.length][(int) width] : Values.readRows(addend);
          double[][] sums =
              preactivation == null ? new double[rows.length][] : Values.readRows(preactivation);
          forEachRow(
              offsets,
              (e, row) -> {
                double[] in = (Blocks.rounds(each.get(e % each.size())) ? rounded : rows)[row];
                double[] sum = added[row];
                for (int n = 0; n < width; n++) {
                  int weight = (int) (e * width + n);
                  sum[n] += Vectors.dot(in, w[weight]) + shift[weight];
                }
                sums[row] = sum;
                out[row] = Activations.forward(activation, sum);
              });
          Values.write(out, y);
          if (preactivation != null) {
            Values.write(sums, preactivation);
          }
        });
  }

  @Override
  default void expertBackwardInput(Tensor dy, Tensor offsets, Tensor weights, Tensor dx) {
    launch(
        () -> {
          Check.tensor("dy", dy, Kind.FLOATING, Check.ANY, Check.ANY);
          Check.weights("weights", weights, Check.ANY, dy.size(1), Check.ANY);
          checkOffsets(offsets, weights.size(0), dy.size(0));
          Check.tensor("dx", dx, Kind.FLOATING, dy.size(0), weights.size(2));
          Check.disjoint("dy", dy, "dx", dx);

          double[][] upstream = Values.readRows(dy);
          double[][] w = rowsOf(weights);
          double[][] gradient = Values.readRows(dx);
          int width = (int) dy.size(1);
          forEachRow(
              offsets,
              (e, row) -> {
                gradient[row] = new double[(int) weights.size(2)];
                for (int n = 0; n < width; n++) {
                  Vectors.addScaled(gradient[row], upstream[row][n], w[e * width + n]);
                }
              });
          Values.write(gradient, dx);
        });
  }

  @Override
  default void expertBackwardWeights(
      boolean accumulate, Tensor dy, Tensor x, Tensor offsets, Tensor dweights, Tensor dbias) {
    launch(
        () -> {
          Check.tensor("dy", dy, Kind.FLOATING, Check.ANY, Check.ANY);
          Check.tensor("x", x, Kind.FLOATING, dy.size(0), Check.ANY);
          Check.tensor("dweights", dweights, Kind.FLOATING, Check.ANY, dy.size(1), x.size(1));
          checkOffsets(offsets, dweights.size(0), dy.size(0));
          Check.optional("dbias", dbias, Kind.FLOAT32, dweights.size(0), dy.size(1));
          Check.disjoint("dy", dy, "dweights", dweights);
          Check.disjoint("x", x, "dweights", dweights);
          Check.disjoint("dweights", dweights, "dbias", dbias);

          double[][] upstream = Values.readRows(dy);
          double[][] in = Values.readRows(x);
          double[][] gradient = Values.readRows(dweights);
          if (!accumulate) {
            for (double[] row : gradient) {
              Arrays.fill(row, 0);
            }
          }
          double[] shift = dbias == null ? new double[gradient.length] : Values.read(dbias);
          int width = (int) dy.size(1);
          forEachRow(
              offsets,
              (e, row) -> {
                for (int n = 0; n < width; n++) {
                  Vectors.addScaled(gradient[e * width + n], upstream[row][n], in[row]);
                  shift[e * width + n] += upstream[row][n];
                }
              });
          Values.write(gradient, dweights);
          if (dbias != null) {
            Values.write(shift, dbias);
          }
        });
  }

  /** Processes a row of an expert. */
  interface ExpertRow {
    void accept(int expert, int row);
  }

  private static void forEachRow(Tensor offsets, ExpertRow action) {
    int[] starts = offsets.toInts();
    for (int e = 0; e + 1 < starts.length; e++) {
      for (int row = starts[e]; row < starts[e + 1]; row++) {
        action.accept(e, row);
      }
    }
  }

  private static List<Tensor> partsOf(Tensor weights) {
    return weights.matrices().isEmpty() ? List.of(weights) : weights.matrices();
  }

  private static double[][] rowsOf(Tensor weights) {
    return partsOf(weights).stream()
        .flatMap(it -> Arrays.stream(Values.readRows(it)))
        .toArray(double[][]::new);
  }

  private static void checkOffsets(Tensor offsets, long experts, long rows) {
    Check.tensor("offsets", offsets, Kind.INT32, experts + 1);
    Check.offsets(offsets, rows);
  }
}
