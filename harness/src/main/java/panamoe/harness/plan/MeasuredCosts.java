package panamoe.harness.plan;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import panamoe.plan.Constant;
import panamoe.plan.Constant.Kind;
import panamoe.plan.Efficiency;
import panamoe.plan.Node;

/**
 * Measures the overheads and reached shares of {@link Efficiency}. Each cost has a small model in
 * which it outweighs the others. Collective.
 */
record MeasuredCosts(List<Cost> costs) {
  private static final int SWEEPS = 20;
  private static final int HALVINGS = 40;

  /**
   * Shares are searched as their inverse, the slowdown against the peak; this is its least value.
   */
  private static final double LEAST_TIMES = 0.5;

  private static final double MOST_TIMES = 100;
  private static final double NEAR = 1 + 1e-6; // the search comes as close to a bound

  /**
   * @param name among {@link Efficiency#constants}
   * @param least lower bound
   * @param most upper bound
   * @param probe step whose time determines the cost
   */
  private record Cost(String name, double least, double most, String source, Probe probe) {
    static Cost share(String name, String source, Probe probe) {
      return new Cost(name + "_share", LEAST_TIMES, MOST_TIMES, source, probe);
    }

    Constant constant(double found) {
      boolean share = name.endsWith("_share");
      Kind kind = Math.min(found / least, most / found) < NEAR ? Kind.BOUND : Kind.MEASURED;
      return kind.of(share ? 1 / found : found, share ? "of the peak" : "s", source);
    }
  }

  static final MeasuredCosts NONE = new MeasuredCosts(List.of());

  static MeasuredCosts ofServing(MeasuredModels models) {
    return new MeasuredCosts(
        List.of(
            new Cost(
                "step",
                1e-9,
                10,
                "the rest of a step of 2 layers of width 64 with 8 sequences per rank",
                models.decode(MeasuredModels.dense(64, 2), 8)),
            new Cost(
                "logit",
                1e-13,
                1e-3,
                "steps of 2 layers of width 64 with 32 and with 8 sequences per rank",
                models.decode(MeasuredModels.dense(64, 2), 32)),
            new Cost(
                "layer",
                1e-9,
                10,
                "steps of 18 and of 2 layers of width 64",
                models.decode(MeasuredModels.dense(64, 18), 8)),
            Cost.share(
                "bandwidth",
                "a step of 8 layers of width 1024 with one sequence per rank",
                models.decode(MeasuredModels.dense(1024, 8), 1)),
            Cost.share(
                "flops",
                "a prefill of 480 tokens per rank by 2 layers of width 512",
                models.prompt(MeasuredModels.dense(512, 2), 480)),
            new Cost(
                "expert",
                1e-10,
                1,
                "the rest of a step of 6 layers with 64 experts of width 64",
                models.decode(MeasuredModels.everyLayer(128, 6, 64, 4), 8))));
  }

  static MeasuredCosts ofTraining(MeasuredModels models) {
    // With few tokens, launches and weights take most of the time.
    return new MeasuredCosts(
        List.of(
            new Cost(
                "layer",
                1e-8,
                1,
                "a step of 18 layers of width 64 over 32 tokens per rank",
                models.train(MeasuredModels.dense(64, 18), 1, 32)),
            Cost.share(
                "bandwidth",
                "a step of 3 layers of width 512 over 32 tokens",
                models.train(MeasuredModels.dense(512, 3), 1, 32)),
            new Cost(
                "activation",
                1e-14,
                1e-6,
                "a step of 6 layers of width 128 over 8 sequences of 256 tokens",
                models.train(MeasuredModels.dense(128, 6), 8, 256)),
            Cost.share(
                "flops",
                "a step of 3 layers of width 512 over 4 sequences of 256 tokens",
                models.train(MeasuredModels.dense(512, 3), 4, 256))));
  }

  List<Probe> probes() {
    return costs.stream().map(Cost::probe).toList();
  }

  /**
   * Finds the costs with which the cost model reproduces the measured times. Each cost is set from
   * its own probe, in turns, until all settle.
   *
   * @param seconds of a step of each probe
   * @return each cost within its bounds, of kind {@link Kind#BOUND} if no value between gives the
   *     time; null if there are no costs
   */
  Efficiency efficiency(Node node, double[] seconds) {
    if (costs.isEmpty()) {
      return null;
    }
    Map<String, Constant> known = new HashMap<>();
    costs.forEach(cost -> known.put(cost.name, cost.constant(cost.least)));
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
      for (int i = 0; i < seconds.length; i++) {
        Cost cost = costs.get(i);
        double low = cost.least;
        double high = cost.most;
        for (int halving = 0; halving < HALVINGS; halving++) {
          double middle = Math.sqrt(low * high);
          known.put(cost.name, cost.constant(middle));
          if (cost.probe.predicted(node, Efficiency.of(known)).seconds() < seconds[i]) {
            low = middle;
          } else {
            high = middle;
          }
        }
      }
    }
    return Efficiency.of(known);
  }
}
