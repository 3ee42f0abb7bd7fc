package panamoe.harness.plan;

import java.util.List;
import panamoe.plan.Efficiency;
import panamoe.plan.LatencyModel;
import panamoe.plan.Node;
import panamoe.plan.Optimizations;

/**
 * What steps take beside bytes, FLOPs and exchanges: six small models, in each of which one cost
 * outweighs those that are not yet known. Used by all ranks together.
 */
final class StepCosts {
  private static final int FEW_LAYERS = 2;
  private static final int MANY_LAYERS = 18;
  private static final int NARROW = 64;
  private static final int WIDE = 1024;
  private static final int BATCH = 8;
  private static final int LARGE_BATCH = 32;
  private static final int PROMPT = 480;

  private final List<StepProbe> probes;

  /**
   * @param models stay the caller's to close
   */
  StepCosts(MeasuredModels models) {
    probes =
        List.of(
            models.decode(MeasuredModels.dense(NARROW, FEW_LAYERS), BATCH),
            models.decode(MeasuredModels.dense(NARROW, FEW_LAYERS), LARGE_BATCH),
            models.decode(MeasuredModels.dense(NARROW, MANY_LAYERS), BATCH),
            models.decode(MeasuredModels.dense(WIDE, 8), 1),
            models.prompt(MeasuredModels.dense(WIDE / 2, 2), PROMPT),
            models.decode(MeasuredModels.everyLayer(2 * NARROW, 6, 64, 4), BATCH));
  }

  List<StepProbe> probes() {
    return probes;
  }

  /**
   * The costs by which the closed form meets these times.
   *
   * @param seconds of a step of each model
   */
  Efficiency efficiency(Node node, double[] seconds) {
    SolvedCosts solved = new SolvedCosts(node);
    StepProbe shallow = probes.get(0);
    solved.difference(SolvedCosts.Cost.LOGIT, shallow, seconds[0], probes.get(1), seconds[1]);
    solved.difference(SolvedCosts.Cost.LAYER, shallow, seconds[0], probes.get(2), seconds[2]);
    solved.rest(SolvedCosts.Cost.STEP, shallow, seconds[0]);
    solved.share(SolvedCosts.Cost.BANDWIDTH, probes.get(3), seconds[3]);
    solved.share(SolvedCosts.Cost.FLOPS, probes.get(4), seconds[4]);
    solved.rest(SolvedCosts.Cost.EXPERT, probes.get(5), seconds[5]);
    return solved.efficiency();
  }

  /** What the closed form says of a step of each model. */
  double[] predicted(Node node, Efficiency efficiency) {
    LatencyModel latency = new LatencyModel(node, efficiency, Optimizations.PANAMOE);
    return probes.stream().mapToDouble(probe -> probe.predicted(latency).seconds()).toArray();
  }
}
