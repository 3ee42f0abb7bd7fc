package panamoe.backend.reference;

import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.Routes;
import panamoe.backend.reference.Check.Kind;
import panamoe.io.Words;
import panamoe.tensor.Tensor;

/** The gate's forward in four steps: scores, choices, queues, weights; and its losses. */
interface ReferenceGate extends GateKernels, ReferenceContext {

  @Override
  default void gateForward(GateSettings settings, Inputs inputs, Routes routes) {
    launch(
        () -> {
          check(settings, inputs, routes);
          GateInput input = GateInput.read(inputs);
          float[][] scores = GateChoice.scores(settings.score(), input);
          int[][] choice = GateChoice.choose(settings, input, scores);
          GateQueues queues = GateQueues.fill(settings, choice, scores, input);
          int[][] expert = queues.expert();

          int experts = input.experts();
          int topK = settings.topK();
          int row = 0;
          for (int e = 0; e < experts; e++) {
            routes.counts().setInt(e, queues.asked(e));
            routes.offsets().setInt(e, row);
            row += queues.kept(e);
          }
          routes.offsets().setInt(experts, row);
          for (int s = 0; s < input.tokens(); s++) {
            double denominator = GateWeights.denominator(settings, scores[s], choice[s], expert[s]);
            for (int e = 0; e < experts; e++) {
              routes.scores().setFloat((long) s * experts + e, scores[s][e]);
            }
            for (int k = 0; k < topK; k++) {
              long route = (long) s * topK + k;
              int e = expert[s][k];
              boolean weighs = e >= 0 && denominator > 0;
              routes.expert().setInt(route, e);
              routes.position().setInt(route, queues.position()[s][k]);
              routes.choice().setInt(route, choice[s][k]);
              routes
                  .weight()
                  .setFloat(
                      route,
                      weighs
                          ? (float) (settings.weighting().scale() * scores[s][e] / denominator)
                          : 0);
            }
          }
          routes.losses().setFloat(0, (float) auxiliaryLoss(settings, input, scores, choice));
          routes.losses().setFloat(1, (float) zLoss(input));
        });
  }

  /**
   * {@code E * sum_e mean_s(score) * mean_s(chosen) / auxiliaryChoices} over the used tokens
   * (GShard, Lepikhin et al., 2021): 1 when balanced, up to E when all tokens go to one expert. 0
   * without tokens.
   */
  private static double auxiliaryLoss(
      GateSettings settings, GateInput input, float[][] scores, int[][] choice) {
    double[] meanChosen = GateWeights.meanChosen(settings, input, choice);
    double sum = 0;
    for (int s = 0; s < input.tokens(); s++) {
      for (int e = 0; e < input.experts(); e++) {
        sum += scores[s][e] * meanChosen[e];
      }
    }
    return input.usedTokens() == 0
        ? 0
        : input.experts() * sum / (input.usedTokens() * (double) settings.auxiliaryChoices());
  }

  /**
   * {@code mean_s(logsumexp(logits)^2)} over the used tokens (ST-MoE, Zoph et al., 2022). 0 without
   * tokens.
   */
  private static double zLoss(GateInput input) {
    double sum = 0;
    for (int s = 0; s < input.tokens(); s++) {
      if (input.isUsed(s)) {
        double total = Vectors.logSumExp(input.logits()[s]);
        sum += total * total;
      }
    }
    return input.usedTokens() == 0 ? 0 : sum / input.usedTokens();
  }

  private static void check(GateSettings settings, Inputs inputs, Routes routes) {
    Tensor logits = inputs.logits();
    Tensor bias = inputs.bias();
    Tensor noise = inputs.noise();
    Tensor priority = inputs.priority();
    checkSettings(settings, logits);
    long tokens = logits.size(0);
    long experts = logits.size(1);
    int topK = settings.topK();
    Check.optional("used", inputs.used(), Kind.UINT8, tokens);
    Check.optional("bias", bias, Kind.FLOAT32, experts);
    Check.optional("noise", noise, Kind.FLOAT32, tokens, experts);
    Check.optional("priority", priority, Kind.FLOAT32, tokens, experts);
    Check.require(
        bias == null || noise == null, "bias and noise are given together, expected one of them");
    Check.require(
        settings.queues().policy() != GateSettings.DropPolicy.PRIORITY || priority != null,
        "priority is null, the drop policy PRIORITY needs it");
    Check.tensor("scores", routes.scores(), Kind.FLOAT32, tokens, experts);
    Check.tensor("expert", routes.expert(), Kind.INT32, tokens, topK);
    Check.tensor("position", routes.position(), Kind.INT32, tokens, topK);
    Check.tensor("weight", routes.weight(), Kind.FLOAT32, tokens, topK);
    Check.tensor("choice", routes.choice(), Kind.INT32, tokens, topK);
    Check.tensor("counts", routes.counts(), Kind.INT32, experts);
    Check.tensor("offsets", routes.offsets(), Kind.INT32, experts + 1);
    Check.tensor("losses", routes.losses(), Kind.FLOAT32, 2);
    Check.disjoint("logits", logits, "scores", routes.scores());
  }

  /** Checks the settings against these logits. */
  static void checkSettings(GateSettings settings, Tensor logits) {
    Check.require(settings != null, "settings is null");
    Check.tensor("logits", logits, Kind.FLOAT32, Check.ANY, Check.ANY);
    long experts = logits.size(1);
    Check.require(
        experts >= 1 && experts <= 1024, "logits has " + experts + " experts, expected 1 to 1024");
    Check.between("topK", settings.topK(), 1, Math.min(experts, 16));
    Check.require(
        settings.queues().policy() == GateSettings.DropPolicy.DROPLESS
            || settings.queues().capacity() >= 0,
        "capacity is " + settings.queues().capacity() + ", expected 0 or more");
    int groups = settings.groups().count();
    Check.require(
        groups >= 1 && experts % groups == 0,
        "groups is " + groups + ", which does not divide " + experts + " experts");
    Check.between("chosenGroups", settings.groups().chosen(), 1, groups);
    long open = experts / groups * settings.groups().chosen();
    Check.require(
        settings.topK() <= open,
        Words.of(
            "topK is %s, but %s groups hold %s experts",
            settings.topK(), settings.groups().chosen(), open));
    Check.between("auxiliaryChoices", settings.auxiliaryChoices(), 1, settings.topK());
    Check.between("noiseFirstChoice", settings.noiseFirstChoice(), 0, settings.topK());
    Check.between("normalizationEpsilon", settings.weighting().epsilon(), 0, Float.MAX_VALUE);
    Check.between("denominatorOffset", settings.weighting().offset(), 0, Float.MAX_VALUE);
    Check.finite("weightScale", settings.weighting().scale());
  }
}
