package panamoe.harness.plan;

import java.util.EnumMap;
import java.util.Map;
import panamoe.plan.Constant;
import panamoe.plan.Efficiency;
import panamoe.plan.LatencyModel;
import panamoe.plan.Node;
import panamoe.plan.Optimizations;
import panamoe.plan.StepTime;

/**
 * Costs that are found one after the other: each by a step that was timed, given those before it.
 * Costs that are not yet found count as nothing, and shares as all.
 */
final class SolvedCosts {
  private static final double NOTHING = 1e-12; // s, where noise makes a difference negative
  private static final double LEAST_SHARE = 0.01;
  private static final double MOST_SHARE = 2; // caches are faster than the memory's ceiling
  private static final int HALVINGS = 40;

  /** What is found. */
  enum Cost {
    STEP("s", "a step of 2 layers of width 64 with 8 texts on each rank, beside all else"),
    LOGIT("s", "steps of 2 layers of width 64 with 32 and with 8 texts on each rank"),
    LAYER("s", "steps of 18 and of 2 layers of width 64"),
    EXPERT("s", "a step of 64 experts of width 64 on each of 6 layers, beside all else"),
    BANDWIDTH("of the peak", "a step of 8 layers of width 1024 with a text on each rank"),
    FLOPS("of the peak", "2 layers of width 512 read a prompt of 480 tokens on each rank");

    private final String unit;
    private final String source;

    Cost(String unit, String source) {
      this.unit = unit;
      this.source = source;
    }
  }

  private final Node node;
  private final Map<Cost, Double> known = new EnumMap<>(Cost.class);

  SolvedCosts(Node node) {
    this.node = node;
    for (Cost cost : Cost.values()) {
      known.put(cost, cost.unit.equals("s") ? NOTHING : 1);
    }
  }

  /** A cost that the second step has more of than the first. */
  void difference(Cost cost, StepProbe few, double fewSeconds, StepProbe many, double manySeconds) {
    double without = time(many).seconds() - time(few).seconds();
    known.put(cost, 1.0);
    double each = time(many).seconds() - time(few).seconds() - without;
    known.put(cost, Math.max(NOTHING, (manySeconds - fewSeconds - without) / each));
  }

  /** A cost that is what is left of a step. */
  void rest(Cost cost, StepProbe probe, double seconds) {
    double without = time(probe).seconds();
    known.put(cost, 1.0);
    double each = time(probe).seconds() - without;
    known.put(cost, Math.max(NOTHING, (seconds - without) / each));
  }

  /** The share of a ceiling with which a step takes as long as it did. */
  void share(Cost cost, StepProbe probe, double seconds) {
    double low = LEAST_SHARE;
    double high = MOST_SHARE;
    for (int halving = 0; halving < HALVINGS; halving++) {
      double middle = Math.sqrt(low * high);
      known.put(cost, middle);
      if (time(probe).seconds() > seconds) {
        low = middle;
      } else {
        high = middle;
      }
    }
  }

  private StepTime time(StepProbe probe) {
    return probe.predicted(new LatencyModel(node, efficiency(), Optimizations.PANAMOE));
  }

  Efficiency efficiency() {
    return Efficiency.measured(
        new Efficiency.Engine(constant(Cost.STEP), constant(Cost.LOGIT)),
        constant(Cost.LAYER),
        constant(Cost.EXPERT),
        constant(Cost.BANDWIDTH),
        constant(Cost.FLOPS));
  }

  private Constant constant(Cost cost) {
    return new Constant(known.get(cost), cost.unit, Constant.Kind.MEASURED, cost.source);
  }
}
