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
import panamoe.config.ModelConfig;
import panamoe.model.LanguageModel;
import panamoe.parallel.Topology;
import panamoe.plan.TrainingSearch.Checkpoints;
import panamoe.plan.TrainingSearch.Found;
import panamoe.train.MemoryForecast;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;

class TrainingSearchTest {
  private static final TrainingEfficiency EFFICIENCY =
      PaperTraining.fitted(Paper.fitted().efficiency()).efficiency();

  private static TrainingSearch search(
      String model, String cluster, int batch, Checkpoints checkpoints) {
    return search(model, NamedModels.of(model), Cluster.of(cluster), batch, checkpoints);
  }

  private static TrainingSearch search(
      String model, ModelConfig config, Cluster cards, int batch, Checkpoints checkpoints) {
    return new TrainingSearch(
        model,
        new RunConfig(config, NamedModels.training(config, 1000, batch, config.context()), 1),
        cards,
        new TrainingModel(cards.node(), EFFICIENCY, Optimizations.PANAMOE, Skew.EVEN),
        checkpoints);
  }

  private static String refusal(Runnable search) {
    return assertThrows(IllegalArgumentException.class, search::run).getMessage();
  }

  @Test
  void everyPlanFitsAndMoreCardsAreFaster() {
    TrainingSearch search = search("350M+PR-MoE-32/64", "dgx-a100-40:16", 64, null);
    Found found = search.find();
    List<TrainingPlan> front = found.front();
    assertTrue(front.size() > 1);
    for (TrainingPlan plan : front) {
      MemoryForecast memory =
          MemoryForecast.of(search.run().model(), plan.training(), plan.topology());
      assertEquals(memory, plan.memory());
      assertTrue(memory.total() <= search.room());
      plan.run(search.run()).requireFits(plan.topology());
      assertNull(plan.loss());
    }
    for (int i = 1; i < front.size(); i++) {
      assertTrue(front.get(i).cards() > front.get(i - 1).cards());
      assertTrue(front.get(i).days() < front.get(i - 1).days());
    }
    for (TrainingSearch.Misfit misfit : found.misfits()) {
      assertTrue(misfit.least().total() > search.room());
    }
  }

  /** 864 steps of 10 s are a tenth of a day; failures take a quarter more. */
  @Test
  void daysAreThoseOfAllStepsAndFailures() {
    TrainingTime time =
        new TrainingTime(StepTime.of(TrainingTerm.values(), Map.of(TrainingTerm.FORWARD, 10.0)), 0);
    TrainConfig training = TrainConfig.of(864, 16, 2048);
    TrainingPlan without = new TrainingPlan(training, Topology.of(8), null, time, null);
    assertEquals(0.1, without.days(), 1e-12);
    assertEquals(19.2, without.cardHours(), 1e-9);
    assertEquals(3276.8, without.tokensPerSecond(), 1e-9);
    Faults.Loss loss = new Faults.Loss(5, 95, 0.25);
    TrainingPlan failing = new TrainingPlan(training, Topology.of(8), null, time, loss);
    assertEquals(0.125, failing.days(), 1e-12);
    assertEquals(10, failing.checkpointEvery());
  }

  /** Against all degrees, micro-batches and both recomputations on one node. */
  @Test
  void nothingIsFasterOnTheSameCards() {
    // A small micro-batch drops more routes, and so takes less time: not so here.
    ModelConfig dropless = TrainingModelTest.dropless(NamedModels.of("350M+PR-MoE-32/64"));
    TrainingSearch search = search("350M", dropless, Cluster.of("dgx-a100:8"), 32, null);
    TrainingPlan best = search.find().fastest();
    assertEquals(8, best.cards());
    for (int tensor : List.of(1, 2, 4, 8)) {
      for (int degree : List.of(1, 2, 4, 8)) {
        for (int micro : List.of(1, 2, 4)) {
          for (boolean again : List.of(false, true)) {
            if (8 / tensor % degree == 0) {
              Topology topology = new Topology(8, degree, tensor, 1);
              TrainConfig training =
                  search.run().training().withBatch(32, micro).withRecompute(again);
              MemoryForecast memory = MemoryForecast.of(search.run().model(), training, topology);
              if (memory.total() <= search.room()) {
                double seconds = time(search, training, topology);
                assertTrue(best.time().seconds() <= seconds + 1e-9, topology + " " + micro);
              }
            }
          }
        }
      }
    }
  }

  private static double time(TrainingSearch search, TrainConfig training, Topology topology) {
    try (LanguageModel model = new LanguageModel(search.run().model())) {
      return search.model().of(model, training, topology).seconds();
    }
  }

  @Test
  void whatIsTooLargeIsNamedWithWhatWouldDo() {
    String large = refusal(() -> search("8B+MoE-128", "dgx-a100-40:16", 64, null).find());
    assertTrue(
        large.startsWith("8B+MoE-128 cannot be trained on dgx-a100-40:16: a card needs "), large);
    assertTrue(
        large.contains(" GB are optimizer moments, and has room for 38.7 GB; it fits on"), large);
    String slow = refusal(() -> search("350M", "dgx-a100:8", 64, null).find(1e-6));
    assertTrue(
        slow.startsWith("no plan on dgx-a100:8 takes at most 1.000e-06 days: the fastest"), slow);
    assertTrue(slow.endsWith("more of these cards do not help, a larger --batch may"), slow);
    String later = refusal(() -> search("350M", "dgx-a100:8", 512, null).find(0.05));
    assertTrue(later.contains("; dgx-a100:"), later);
  }

  @Test
  void aBatchThatDoesNotDivideLeavesCardsOut() {
    Found found = search("350M", "dgx-a100:8", 3, null).find();
    // Three sequences divide among one data rank alone: up to eight tensor ranks.
    assertEquals(1, found.fastest().topology().dataDegree());
    Found two = search("350M", "dgx-a100:16", 3, null).find();
    assertEquals(16, two.misfits().getLast().cards());
    assertNull(two.misfits().getLast().least());
  }

  @Test
  void failuresAreCounted() {
    Faults faults = new Faults(5000);
    TrainingPlan best =
        search("350M", "dgx-a100:8", 64, new Checkpoints(faults, 0)).find().fastest();
    TrainingPlan often =
        search("350M", "dgx-a100:8", 64, new Checkpoints(faults, 1)).find().fastest();
    TrainingPlan never = search("350M", "dgx-a100:8", 64, null).find().fastest();
    assertTrue(best.loss().share() > 0 && best.loss().share() < often.loss().share());
    assertTrue(never.days() < best.days());
    assertEquals(1, often.checkpointEvery());
    assertFalse(best.checkpointEvery() <= 1);
    assertTrue(refusal(() -> new Checkpoints(faults, -1)).contains("-1 steps apart"));
  }

  @Test
  void anInterruptEndsIt() {
    Thread.currentThread().interrupt();
    assertThrows(CancellationException.class, search("350M", "dgx-a100:8", 64, null)::find);
    assertTrue(Thread.interrupted());
  }
}
