package panamoe.backend.reference;

import panamoe.backend.GateKernels;
import panamoe.tensor.Tensor;

/**
 * The gate's inputs by token: E experts, logits [S][E], which tokens are used [S]; bias, noise,
 * priority or null.
 */
record GateInput(
    int experts,
    double[][] logits,
    boolean[] used,
    double[] bias,
    double[][] noise,
    double[][] priority) {

  /** Reads tensors of checked shapes; refuses NaN and infinities, except on padding. */
  static GateInput read(GateKernels.Inputs inputs) {
    Tensor logits = inputs.logits();
    Tensor used = inputs.used();
    Tensor bias = inputs.bias();
    Tensor noise = inputs.noise();
    Tensor priority = inputs.priority();
    boolean[] isUsed = new boolean[(int) logits.size(0)];
    for (int s = 0; s < isUsed.length; s++) {
      isUsed[s] = used == null || used.getFloat(s) != 0;
    }
    GateInput input =
        new GateInput(
            (int) logits.size(1),
            Values.readRows(logits),
            isUsed,
            bias == null ? null : Values.read(bias),
            noise == null ? null : Values.readRows(noise),
            priority == null ? null : Values.readRows(priority));
    input.checkValues();
    return input;
  }

  int tokens() {
    return used.length;
  }

  boolean isUsed(int s) {
    return used[s];
  }

  int usedTokens() {
    int count = 0;
    for (boolean u : used) {
      count += u ? 1 : 0;
    }
    return count;
  }

  private void checkValues() {
    for (int e = 0; bias != null && e < bias.length; e++) {
      Check.require(
          Double.isFinite(bias[e]), "bias[" + e + "] is " + bias[e] + ", expected a finite number");
    }
    for (int s = 0; s < used.length; s++) {
      if (used[s]) {
        boolean hopeful = false;
        for (int e = 0; e < logits[s].length; e++) {
          double logit = logits[s][e];
          if (!(logit < Double.POSITIVE_INFINITY)) {
            throw new IllegalArgumentException(
                "logits[" + s + ", " + e + "] is " + logit + ", expected a number");
          }
          hopeful |= logit > Double.NEGATIVE_INFINITY;
          checkFinite("noise", noise, s, e);
          checkFinite("priority", priority, s, e);
        }
        Check.require(
            hopeful, "every logit of token " + s + " is -inf, there is no expert to choose");
      }
    }
  }

  private static void checkFinite(String name, double[][] values, int s, int e) {
    Check.require(
        values == null || Double.isFinite(values[s][e]),
        () -> name + "[" + s + ", " + e + "] is " + values[s][e] + ", expected a finite number");
  }
}
