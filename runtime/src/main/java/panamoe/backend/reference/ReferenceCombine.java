package panamoe.backend.reference;

import panamoe.backend.CombineKernels;
import panamoe.backend.Routes;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.Tensor;

/** The weighted sum of a token's expert rows, mixed with the residual branch of a Residual MoE. */
interface ReferenceCombine extends CombineKernels, ReferenceContext {

  @Override
  default void combineForward(Inputs inputs, Routes routes, Tensor y) {
    Tensor rows = inputs.rows();
    Tensor mlp = inputs.mlp();
    Tensor coefficient = inputs.coefficient();
    Tensor skip = inputs.skip();
    launch(
        () -> {
          check("y", y, inputs, routes);
          Check.optional("skip", skip, Kind.FLOATING, y.size(0), y.size(1));
          Check.disjoint("rows", rows, "y", y);
          Check.disjoint("mlp", mlp, "y", y);

          RouteTable table = RouteTable.read(routes, rows.size(0));
          double[][] expertRows = Values.readRows(rows);
          double[][] weights = Values.readRows(routes.weight());
          double[][] result = skip == null ? Values.zeroRows(y) : Values.readRows(skip);
          double[][] residual = mlp == null ? null : Values.readRows(mlp);
          for (int s = 0; s < result.length; s++) {
            double[] mix = mix(coefficient, s);
            Vectors.addScaled(
                result[s],
                mix[0],
                weightedSum(table.rows(s), weights[s], expertRows, result[s].length));
            if (residual != null) {
              Vectors.addScaled(result[s], mix[1], residual[s]);
            }
          }
          Values.write(result, y);
        });
  }

  @Override
  default void combineBackward(Tensor dy, Inputs inputs, Routes routes, Gradients gradients) {
    Tensor rows = inputs.rows();
    Tensor mlp = inputs.mlp();
    Tensor coefficient = inputs.coefficient();
    Tensor drows = gradients.drows();
    Tensor dweight = gradients.dweight();
    Tensor dmlp = gradients.dmlp();
    Tensor dcoefficient = gradients.dcoefficient();
    launch(
        () -> {
          check("dy", dy, inputs, routes);
          Check.tensor("drows", drows, Kind.FLOATING, rows.size(0), rows.size(1));
          Check.tensor("dweight", dweight, Kind.FLOAT32, dy.size(0), routes.expert().size(1));
          Check.together("mlp", mlp, "dmlp", dmlp);
          Check.together("mlp", mlp, "dcoefficient", dcoefficient);
          Check.optional("dmlp", dmlp, Kind.FLOATING, dy.size(0), dy.size(1));
          Check.optional("dcoefficient", dcoefficient, Kind.FLOAT32, dy.size(0), 2);
          Check.disjoint("rows", rows, "drows", drows);
          Check.disjoint("dy", dy, "drows", drows);

          RouteTable table = RouteTable.read(routes, rows.size(0));
          double[][] expertRows = Values.readRows(rows);
          double[][] weights = Values.readRows(routes.weight());
          double[][] upstream = Values.readRows(dy);
          double[][] drowRows = Values.readRows(drows);
          double[][] dweights = Values.zeroRows(dweight);
          double[][] residual = mlp == null ? null : Values.readRows(mlp);
          double[][] dresidual = new double[upstream.length][(int) dy.size(1)];
          double[][] dcoefficients = new double[upstream.length][];
          for (int s = 0; s < upstream.length; s++) {
            double[] mix = mix(coefficient, s);
            int[] own = table.rows(s);
            for (int k = 0; k < own.length; k++) {
              if (own[k] >= 0) {
                double[] drow = new double[upstream[s].length];
                Vectors.addScaled(drow, mix[0] * weights[s][k], upstream[s]);
                drowRows[own[k]] = drow;
                dweights[s][k] = mix[0] * Vectors.dot(upstream[s], expertRows[own[k]]);
              }
            }
            if (residual != null) {
              double[] moe = weightedSum(own, weights[s], expertRows, upstream[s].length);
              double[] dmix = {
                Vectors.dot(upstream[s], moe), Vectors.dot(upstream[s], residual[s])
              };
              dcoefficients[s] = Vectors.softmaxBackward(mix, dmix);
              Vectors.addScaled(dresidual[s], mix[1], upstream[s]);
            }
          }
          Values.write(drowRows, drows);
          Values.write(dweights, dweight);
          if (residual != null) {
            Values.write(dresidual, dmlp);
            Values.write(dcoefficients, dcoefficient);
          }
        });
  }

  /** {@code sum_k weight[k] rows[k]} over the kept routes. */
  private static double[] weightedSum(int[] own, double[] weights, double[][] rows, int width) {
    double[] sum = new double[width];
    for (int k = 0; k < own.length; k++) {
      if (own[k] >= 0) {
        Vectors.addScaled(sum, weights[k], rows[own[k]]);
      }
    }
    return sum;
  }

  /** (c0, c1): the parts of the experts and of the residual branch. */
  private static double[] mix(Tensor coefficient, int s) {
    if (coefficient == null) {
      return new double[] {1, 0};
    }
    return Vectors.softmax(
        new double[] {coefficient.getFloat(2L * s), coefficient.getFloat(2L * s + 1)});
  }

  private static void check(String outputName, Tensor output, Inputs inputs, Routes routes) {
    Check.tensor(outputName, output, Kind.FLOATING, Check.ANY, Check.ANY);
    Check.tensor("rows", inputs.rows(), Kind.FLOATING, Check.ANY, output.size(1));
    RouteTable.check(routes, output.size(0));
    Check.tensor("weight", routes.weight(), Kind.FLOAT32, output.size(0), routes.expert().size(1));
    Check.together("mlp", inputs.mlp(), "coefficient", inputs.coefficient());
    Check.optional("mlp", inputs.mlp(), Kind.FLOATING, output.size(0), output.size(1));
    Check.optional("coefficient", inputs.coefficient(), Kind.FLOAT32, output.size(0), 2);
  }
}
