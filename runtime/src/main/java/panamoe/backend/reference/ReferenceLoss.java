package panamoe.backend.reference;

import java.util.Arrays;
import java.util.Objects;
import panamoe.backend.LossKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.io.Words;
import panamoe.tensor.Tensor;

/**
 * Cross-entropy against the target distribution {@code (1 - a) [v = target] + a / V}, a the label
 * smoothing, and the divergence from a teacher's distribution.
 */
interface ReferenceLoss extends LossKernels, ReferenceContext {

  @Override
  default void crossEntropy(Tokens tokens, Tensor logits, Tensor dlogits) {
    Tensor targets = tokens.targets();
    float labelSmoothing = tokens.labelSmoothing();
    float dloss = tokens.dloss();
    Tensor losses = tokens.losses();
    launch(
        () -> {
          checkCap(tokens.logitCap());
          Check.tensor("logits", logits, Kind.FLOATING, Check.ANY, Check.ANY);
          check(targets, logits.size(0), logits.size(1), labelSmoothing, dloss, losses);
          Check.optional("dlogits", dlogits, Kind.FLOATING, logits.size(0), logits.size(1));
          if (dlogits != null) {
            Check.disjointOrSame("logits", logits, "dlogits", dlogits);
          }
          double[][] rows = Values.readRows(logits);
          for (int s = 0; s < rows.length; s++) {
            double[] capped = rows[s];
            rows[s] = loss(capped, targets.getInt(s), labelSmoothing, dloss, s, losses);
            uncap(rows[s], capped, tokens.logitCap());
          }
          if (dlogits != null) {
            Values.write(rows, dlogits);
          }
        });
  }

  @Override
  default void linearCrossEntropy(
      Tokens tokens, Tensor hidden, Tensor weights, Tensor dhidden, Tensor dweights) {
    linear(tokens, null, hidden, weights, dhidden, dweights);
  }

  @Override
  default void linearDistillation(
      Tokens tokens,
      Teacher teacher,
      Tensor hidden,
      Tensor weights,
      Tensor dhidden,
      Tensor dweights) {
    linear(tokens, Objects.requireNonNull(teacher, "teacher"), hidden, weights, dhidden, dweights);
  }

  /** Both losses that are fused with the logits; teacher may be null. */
  private void linear(
      Tokens tokens,
      Teacher teacher,
      Tensor hidden,
      Tensor weights,
      Tensor dhidden,
      Tensor dweights) {
    Tensor targets = tokens.targets();
    float labelSmoothing = tokens.labelSmoothing();
    float dloss = tokens.dloss();
    Tensor losses = tokens.losses();
    launch(
        () -> {
          checkCap(tokens.logitCap());
          Check.tensor("hidden", hidden, Kind.FLOATING, Check.ANY, Check.ANY);
          Check.weights("weights", weights, Check.ANY, hidden.size(1));
          check(targets, hidden.size(0), weights.size(0), labelSmoothing, dloss, losses);
          if (teacher != null) {
            check(teacher, hidden.size(0), weights.size(0));
          }
          Check.require(
              dhidden != null || dweights == null, "dhidden is null, but dweights is given");
          Check.require(
              dweights == null || !weights.packed(),
              "weights is packed, expected row-major for dweights");
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
          double[][] given = teacher == null ? null : Values.readRows(teacher.hidden());
          double[][] givenWeights =
              teacher == null || teacher.weights() == null
                  ? null
                  : Values.readRows(teacher.weights());
          for (int s = 0; s < in.length; s++) {
            double[] logits = product(in[s], w, tokens.logitCap());
            double[] dlogits = loss(logits, targets.getInt(s), labelSmoothing, dloss, s, losses);
            if (teacher != null) {
              double[] wanted =
                  givenWeights == null
                      ? given[s]
                      : product(given[s], givenWeights, teacher.logitCap());
              boolean counts = targets.getInt(s) >= 0;
              double divergence = counts ? divergence(logits, wanted, teacher, dloss, dlogits) : 0;
              teacher.divergences().setFloat(s, (float) divergence);
            }
            uncap(dlogits, logits, tokens.logitCap());
            for (int v = 0; v < w.length; v++) {
              Vectors.addScaled(din[s], dlogits[v], w[v]);
              Vectors.addScaled(dw[v], dlogits[v], in[s]);
            }
          }
          if (dhidden != null) {
            Values.write(din, dhidden);
          }
          if (dweights != null) {
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

  /** Returns the divergence and adds {@code dloss weight} times its gradient to dlogits. */
  private static double divergence(
      double[] logits, double[] wanted, Teacher teacher, double dloss, double[] dlogits) {
    double temperature = teacher.temperature();
    double[] student = over(temperature, logits);
    double[] taught = over(temperature, wanted);
    double studentTotal = Vectors.logSumExp(student);
    double taughtTotal = Vectors.logSumExp(taught);
    double divergence = 0;
    for (int v = 0; v < logits.length; v++) {
      double p = Math.exp(taught[v] - taughtTotal);
      double q = Math.exp(student[v] - studentTotal);
      if (p != 0) { // the limit of p log p at 0 is 0
        divergence += p * (taught[v] - taughtTotal - (student[v] - studentTotal));
      }
      dlogits[v] += dloss * teacher.weight() / temperature * (q - p);
    }
    return divergence;
  }

  private static double[] product(double[] row, double[][] weights, double cap) {
    double[] logits = new double[weights.length];
    for (int v = 0; v < logits.length; v++) {
      logits[v] = Vectors.softCap(Vectors.dot(row, weights[v]), cap);
    }
    return logits;
  }

  /** Makes gradients of capped logits gradients of the logits before. */
  private static void uncap(double[] gradient, double[] capped, double cap) {
    for (int v = 0; v < gradient.length; v++) {
      gradient[v] *= Vectors.softCapSlope(capped[v], cap);
    }
  }

  private static void checkCap(float cap) {
    Check.finite("logit_cap", cap);
    Check.require(cap >= 0, "logit_cap is " + cap + ", expected 0 (no cap) or more");
  }

  private static double[] over(double temperature, double[] logits) {
    return Arrays.stream(logits).map(logit -> logit / temperature).toArray();
  }

  private static void check(Teacher teacher, long tokens, long classes) {
    checkCap(teacher.logitCap());
    Check.require(
        teacher.temperature() >= Float.MIN_NORMAL && Float.isFinite(teacher.temperature()),
        Words.of(
            "temperature is %s, expected more than 0, finite and not subnormal",
            teacher.temperature()));
    Check.require(
        teacher.weight() >= 0 && Float.isFinite(teacher.weight()),
        "weight is " + teacher.weight() + ", expected a finite number, 0 or more");
    Tensor weights = teacher.weights();
    Check.tensor(
        "teacher's hidden",
        teacher.hidden(),
        Kind.FLOATING,
        tokens,
        weights == null ? classes : Check.ANY);
    if (weights != null) {
      Check.weights("teacher's weights", weights, classes, teacher.hidden().size(1));
    }
    Check.tensor("divergences", teacher.divergences(), Kind.FLOAT32, tokens);
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
