package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.Test;
import panamoe.comm.exchange.Strategy;
import panamoe.config.ModelConfig;
import panamoe.model.LanguageModel;
import panamoe.parallel.Topology;
import panamoe.plan.PlanSearch.Found;
import panamoe.plan.TrainingObjective.Checkpoints;
import panamoe.train.MemoryForecast;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;

class TrainingSearchTest {
  private static final Efficiency EFFICIENCY =
      PaperTraining.fitted(Paper.fitted().efficiency()).efficiency();

  private static PlanSearch search(
      String model, String cluster, int batch, Checkpoints checkpoints) {
    return search(model, NamedModels.of(model), Cluster.of(cluster), batch, checkpoints);
  }

  private static PlanSearch search(
      String model, ModelConfig config, Cluster devices, int batch, Checkpoints checkpoints) {
    RunConfig run =
        new RunConfig(config, NamedModels.training(config, 1000, batch, config.context()), 1);
    StepModel times = new StepModel(devices.node(), EFFICIENCY, Optimizations.PANAMOE);
    return new PlanSearch(model, devices, new TrainingObjective(run, times, checkpoints));
  }

  private static RunConfig run(PlanSearch search) {
    return ((TrainingObjective) search.objective()).run();
  }

  private static String tooSlow(PlanSearch search, double seconds) {
    Found found = search.find(_ -> {});
    return refusal(() -> search.within(seconds, found));
  }

  private static String refusal(Runnable search) {
    return assertThrows(IllegalArgumentException.class, search::run).getMessage();
  }

  @Test
  void everyPlanFitsAndMoreDevicesAreFaster() {
    PlanSearch search = search("350M+PR-MoE-32/64", "dgx-a100-40:16", 64, null);
    Found found = search.find(_ -> {});
    List<Plan> front = found.front();
    assertTrue(front.size() > 1);
    for (Plan plan : front) {
      MemoryForecast memory =
          MemoryForecast.of(run(search).model(), plan.training(), plan.topology());
      assertEquals(memory, plan.memory());
      assertTrue(memory.total() <= search.objective().times().room());
      plan.run(run(search)).requireFits(plan.topology());
      assertNull(plan.loss());
    }
    for (int i = 1; i < front.size(); i++) {
      assertTrue(front.get(i).devices() > front.get(i - 1).devices());
      assertTrue(front.get(i).days() < front.get(i - 1).days());
    }
    for (PlanSearch.Misfit misfit : found.misfits()) {
      assertTrue(misfit.least().total() > search.objective().times().room());
    }
  }

  /** 864 steps of 10 s are a tenth of a day; failures take a quarter more. */
  @Test
  void daysAreThoseOfAllStepsAndFailures() {
    StepTime time = StepTime.of(CostTerm.TRAINING, Map.of(CostTerm.FORWARD, 10.0), 0);
    TrainConfig training = TrainConfig.of(864, 16, 2048);
    Plan without = plan(training, time, null);
    assertEquals(0.1, without.days(), 1e-12);
    assertEquals(19.2, without.deviceHours(), 1e-9);
    assertEquals(3276.8, without.tokensPerSecond(), 1e-9);
    FailureCost.Loss loss = new FailureCost.Loss(5, 95, 0.25);
    Plan failing = plan(training, time, loss);
    assertEquals(0.125, failing.days(), 1e-12);
    assertEquals(10, failing.checkpointEvery());
  }

  private static Plan plan(TrainConfig training, StepTime time, FailureCost.Loss loss) {
    return new Plan(
        Topology.of(8), Strategy.AUTO, training.batch().tokens(), null, time, training, loss);
  }

  /** Compares with all degrees, micro-batches and both recomputations on one node. */
  @Test
  void nothingIsFasterOnTheSameDevices() {
    // Dropless, because a small micro-batch that drops more routes takes less time.
    ModelConfig dropless = TrainingStepTest.dropless(NamedModels.of("350M+PR-MoE-32/64"));
    PlanSearch search = search("350M", dropless, Cluster.of("dgx-a100:8"), 32, null);
    Plan best = search.find(_ -> {}).fastest();
    assertEquals(8, best.devices());
    for (int tensor : List.of(1, 2, 4, 8)) {
      for (int degree : List.of(1, 2, 4, 8)) {
        for (int micro : List.of(1, 2, 4)) {
          for (boolean again : List.of(false, true)) {
            if (8 / tensor % degree == 0) {
              Topology topology = new Topology(8, degree, tensor, 1);
              TrainConfig training =
                  run(search)
                      .training()
                      .with(
                          new TrainConfig.Batch(32, run(search).training().batch().length(), micro))
                      .withRecompute(again);
              MemoryForecast memory = MemoryForecast.of(run(search).model(), training, topology);
              if (memory.total() <= search.objective().times().room()) {
                double seconds = time(search, training, topology);
                assertTrue(best.time().seconds() <= seconds + 1e-9, topology + " " + micro);
              }
            }
          }
        }
      }
    }
  }

  private static double time(PlanSearch search, TrainConfig training, Topology topology) {
    try (LanguageModel model = new LanguageModel(run(search).model())) {
      return search.objective().times().of(model, training, topology).seconds();
    }
  }

  @Test
  void whatIsTooLargeIsNamedWithWhatWouldDo() {
    String large = refusal(() -> search("8B+MoE-128", "dgx-a100-40:16", 64, null).find(_ -> {}));
    assertTrue(
        large.startsWith("8B+MoE-128 cannot be trained on dgx-a100-40:16: a device needs "), large);
    assertTrue(
        large.contains(" GB are optimizer moments, and has room for 38.7 GB; it fits on"), large);
    String slow = tooSlow(search("350M", "dgx-a100:8", 64, null), 1e-6 * 86400);
    assertTrue(
        slow.startsWith("no plan on dgx-a100:8 takes at most 1.000e-06 days: the fastest"), slow);
    assertTrue(slow.endsWith("more of these devices do not help, a larger --batch may"), slow);
    String later = tooSlow(search("350M", "dgx-a100:8", 512, null), 0.05 * 86400);
    assertTrue(later.contains("; dgx-a100:"), later);
  }

  @Test
  void aBatchThatDoesNotDivideLeavesDevicesOut() {
    Found found = search("350M", "dgx-a100:8", 3, null).find(_ -> {});
    // Three sequences divide among one data rank alone: up to eight tensor ranks.
    assertEquals(1, found.fastest().topology().dataDegree());
    Found two = search("350M", "dgx-a100:16", 3, null).find(_ -> {});
    assertEquals(16, two.misfits().getLast().devices());
    assertNull(two.misfits().getLast().least());
  }

  @Test
  void failuresAreCounted() {
    FailureCost faults = new FailureCost(5000);
    Plan best =
        search("350M", "dgx-a100:8", 64, new Checkpoints(faults, 0)).find(_ -> {}).fastest();
    Plan often =
        search("350M", "dgx-a100:8", 64, new Checkpoints(faults, 1)).find(_ -> {}).fastest();
    Plan never = search("350M", "dgx-a100:8", 64, null).find(_ -> {}).fastest();
    assertTrue(best.loss().share() > 0 && best.loss().share() < often.loss().share());
    assertTrue(never.days() < best.days());
    assertEquals(1, often.checkpointEvery());
    assertFalse(best.checkpointEvery() <= 1);
    assertTrue(refusal(() -> new Checkpoints(faults, -1)).contains("-1 steps apart"));
  }

  @Test
  void anInterruptEndsIt() {
    Thread.currentThread().interrupt();
    assertThrows(
        CancellationException.class, () -> search("350M", "dgx-a100:8", 64, null).find(_ -> {}));
    assertTrue(Thread.interrupted());
  }
}
