package panamoe.backend.reference;

import panamoe.backend.LossKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.Tensor;

/**
 * Cross-entropy against the target distribution {@code (1 - a) [v = target] + a / V}, a the label
 * smoothing.
 */
interface ReferenceLoss extends LossKernels, Launching {

  @Override
  default void crossEntropy(Tokens tokens, Tensor logits, Tensor dlogits) {
    Tensor targets = tokens.targets();
    float labelSmoothing = tokens.labelSmoothing();
    float dloss = tokens.dloss();
    Tensor losses = tokens.losses();
    launch(
        () -> {
          Check.tensor("logits", logits, Kind.FLOATING, Check.ANY, Check.ANY);
          check(targets, logits.size(0), logits.size(1), labelSmoothing, dloss, losses);
          Check.optional("dlogits", dlogits, Kind.FLOATING, logits.size(0), logits.size(1));
          if (dlogits != null) {
            Check.disjointOrSame("logits", logits, "dlogits", dlogits);
          }
          double[][] rows = Values.readRows(logits);
          for (int s = 0; s < rows.length; s++) {
            rows[s] = loss(rows[s], targets.getInt(s), labelSmoothing, dloss, s, losses);
          }
          if (dlogits != null) {
            Values.write(rows, dlogits);
          }
        });
  }

  @Override
  default void linearCrossEntropy(
      Tokens tokens, Tensor hidden, Tensor weights, Tensor dhidden, Tensor dweights) {
    Tensor targets = tokens.targets();
    float labelSmoothing = tokens.labelSmoothing();
    float dloss = tokens.dloss();
    Tensor losses = tokens.losses();
    launch(
        () -> {
          Check.tensor("hidden", hidden, Kind.FLOATING, Check.ANY, Check.ANY);
          Check.weights("weights", weights, Check.ANY, hidden.size(1));
          check(targets, hidden.size(0), weights.size(0), labelSmoothing, dloss, losses);
          Check.together("dhidden", dhidden, "dweights", dweights);
          Check.optional("dhidden", dhidden, Kind.FLOATING, hidden.size(0), hidden.size(1));
          Check.optional("dweights", dweights, Kind.FLOAT32, weights.size(0), weights.size(1));
          Check.disjoint("hidden", hidden, "dhidden", dhidden);
          Check.disjoint("weights", weights, "dweights", dweights);

          double[][] in = Values.readRows(hidden);
          double[][] w = Values.readRows(weights);
          double[][] din = new double[in.length][(int) hidden.size(1)];
          double[][] dw =
              dweights == null
                  ? new double[w.length][(int) hidden.size(1)]
                  : Values.readRows(dweights);
          for (int s = 0; s < in.length; s++) {
            double[] logits = new double[w.length];
            for (int v = 0; v < w.length; v++) {
              logits[v] = Vectors.dot(in[s], w[v]);
            }
            double[] dlogits = loss(logits, targets.getInt(s), labelSmoothing, dloss, s, losses);
            for (int v = 0; v < w.length; v++) {
              Vectors.addScaled(din[s], dlogits[v], w[v]);
              Vectors.addScaled(dw[v], dlogits[v], in[s]);
            }
          }
          if (dhidden != null) {
            Values.write(din, dhidden);
            Values.write(dw, dweights);
          }
        });
  }

  /** Sets {@code losses[s]} and returns {@code dloss} times its gradient by the logits. */
  private static double[] loss(
      double[] logits, int target, double smoothing, double dloss, int s, Tensor losses) {
    double[] gradient = new double[logits.length];
    double total = Vectors.logSumExp(logits);
    double loss = 0;
    for (int v = 0; target >= 0 && v < logits.length; v++) {
      double wanted = (v == target ? 1 - smoothing : 0) + smoothing / logits.length;
      loss += wanted * (total - logits[v]);
      gradient[v] = dloss * (Math.exp(logits[v] - total) - wanted);
    }
    losses.setFloat(s, (float) loss);
    return gradient;
  }

  private static void check(
      Tensor targets, long tokens, long classes, float labelSmoothing, float dloss, Tensor losses) {
    Check.tensor("targets", targets, Kind.INT32, tokens);
    Check.between("labelSmoothing", labelSmoothing, 0, 1);
    Check.finite("dloss", dloss);
    Check.tensor("losses", losses, Kind.FLOAT32, tokens);
    Check.range("targets", targets, -1, classes);
  }
}
