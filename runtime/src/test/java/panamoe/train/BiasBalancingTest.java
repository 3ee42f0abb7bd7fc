package panamoe.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.train.TrainerBench.steps;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.checkpoint.Checkpoint;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.tensor.Tensor;
import tools.jackson.databind.node.ObjectNode;

/** The correction bias moves against the load, and by nothing else. */
class BiasBalancingTest {
  private static final double RATE = 0.01;

  private static GateConfig gate(Double biasRate) {
    return new GateConfig(
        2,
        false,
        Score.SIGMOID,
        new GateConfig.Choice(1, 1, GroupScore.MAXIMUM, true, GateConfig.Noise.NONE),
        GateConfig.RouteWeight.of(Normalization.CHOSEN),
        GateConfig.Capacity.DROPLESS,
        new GateConfig.Loss(true, 0, 0, null, biasRate, null));
  }

  private static RunConfig config(Double biasRate, int steps, int microBatches, boolean recompute) {
    ObjectNode json = (ObjectNode) ConfigJson.tree(steps(steps).withRecompute(recompute));
    TrainConfig training =
        ConfigJson.read(json.put("microBatches", microBatches), TrainConfig.class, "training");
    return TrainerBench.config(Architecture.MOE, gate(biasRate), training);
  }

  private static Tensor bias(LanguageModel model) {
    return model.parameters().parameters().stream()
        .filter(parameter -> parameter.name().equals("layers.1.moe.gate.correction"))
        .findFirst()
        .orElseThrow()
        .master();
  }

  @Test
  void aRateOf0NeedsNoBias() {
    GateConfig gate =
        GateConfig.dropless(1).withLoss(new GateConfig.Loss(true, 0, 0, null, 0.0, null));
    RunConfig run = TrainerBench.config(Architecture.MOE, gate, steps(1));
    try (TrainerBench bench = TrainerBench.open(run, 1)) {
      assertEquals(1, bench.trainer().next().step());
    }
  }

  @ParameterizedTest
  @CsvSource({"1,false", "2,false", "2,true"})
  void anExpertBelowTheMeanRises(int microBatches, boolean recompute) {
    try (TrainerBench bench = TrainerBench.open(config(RATE, 5, microBatches, recompute), 2)) {
      float[] expected = new float[4];
      while (!bench.trainer().finished()) {
        long[] counts = bench.trainer().next().layers().getFirst().counts();
        double mean = TrainerBench.BATCH * TrainerBench.SEQUENCE * 2 / 4.0;
        assertEquals(4 * mean, Arrays.stream(counts).sum());
        for (int e = 0; e < 4; e++) {
          expected[e] += (float) RATE * (float) Math.signum(mean - counts[e]);
        }
        assertArrayEquals(expected, bias(bench.model()).toFloats());
      }
      assertTrue(expected[0] != expected[1] || expected[1] != expected[2], "all experts alike");
    }
  }

  @Test
  void withoutARateTheBiasStays() {
    try (TrainerBench bench = TrainerBench.open(config(null, 3, 1, false), 2)) {
      float[] given = {0.5f, -0.25f, 0, 0.125f};
      bias(bench.model()).set(given);
      while (!bench.trainer().finished()) {
        bench.trainer().next();
      }
      assertArrayEquals(given, bias(bench.model()).toFloats());
    }
  }

  @Test
  void aResumedRunContinuesBitForBit(@TempDir Path directory) {
    RunConfig config = config(RATE, 6, 1, false);
    List<float[]> uninterrupted;
    try (TrainerBench bench = TrainerBench.open(config, 2)) {
      for (int step = 0; step < 6; step++) {
        if (step == 3) {
          new RunCheckpoints(bench.trainer(), directory).save();
        }
        bench.trainer().next();
      }
      uninterrupted = bench.weights();
    }
    try (TrainerBench bench = TrainerBench.open(config, 2)) {
      Checkpoint latest = RunCheckpoints.latest(directory, config, Ranks.alone()).orElseThrow();
      new RunCheckpoints(bench.trainer(), directory).restore(latest);
      assertFalse(Arrays.equals(new float[4], bias(bench.model()).toFloats()));
      while (!bench.trainer().finished()) {
        bench.trainer().next();
      }
      List<float[]> resumed = bench.weights();
      for (int i = 0; i < resumed.size(); i++) {
        assertArrayEquals(uninterrupted.get(i), resumed.get(i));
      }
    }
  }

  @Test
  void loadEvensOutWithoutALoss() {
    double balanced = largestShare(1e-3);
    double free = largestShare(0);
    assertTrue(balanced < 0.8 * free, balanced + " of all routes, " + free + " without a rate");
  }

  /**
   * The part of a layer's routes that its fullest expert gets at the end of a run of the preset.
   */
  private static double largestShare(double biasRate) {
    ModelConfig preset =
        ModelPresets.of(Size.SMALL, Architecture.DEEPSEEK, SyntheticSequences.VOCABULARY)
            .withGates(
                gate -> {
                  GateConfig.Loss loss = gate.loss();
                  assertEquals(0, loss.auxiliary());
                  return gate.withLoss(
                      new GateConfig.Loss(
                          loss.overAllChoices(), 0, loss.z(), null, biasRate, null));
                });
    int steps = 100;
    RunConfig config = new RunConfig(preset, steps(steps), 1);
    try (TrainerBench bench = TrainerBench.open(config, 2)) {
      double largest = 0;
      while (!bench.trainer().finished()) {
        StepMetrics metrics = bench.trainer().next();
        LayerLoad load = metrics.layers().getLast();
        if (metrics.step() > steps - 20) {
          largest += (double) load.quantile(1) / load.routes() / 20;
        }
      }
      return largest;
    }
  }

  static Stream<Topology> topologies() {
    return Stream.of(
        Topology.of(2),
        new Topology(4, 2, 1, 1),
        new Topology(4, 2, 2, 2),
        new Topology(8, 4, 2, 1),
        new Topology(8, 4, 4, 2));
  }

  @ParameterizedTest
  @MethodSource("topologies")
  void everyRankHasTheBiasOfOneRank(Topology topology) {
    RunConfig config = config(RATE, 4, 2, false);
    float[] one = train(config, Topology.ONE).getFirst();
    for (float[] each : train(config, topology)) {
      assertArrayEquals(one, each);
    }
  }

  private static List<float[]> train(RunConfig config, Topology topology) {
    return ThreadWorld.of(topology.ranks())
        .run(
            world -> {
              Ranks ranks = new Ranks(topology, world, Strategy.FLAT, Overlap.NONE);
              try (Backend backend = Backends.open("cpu", 1);
                  LanguageModel model = new LanguageModel(config.model(), ranks)) {
                model.materialize(backend, config.training().dtype(), true, config.seed());
                Trainer trainer =
                    new Trainer(
                        backend, model, config, new SyntheticSequences(TrainerBench.SEQUENCE, 9));
                while (!trainer.finished()) {
                  trainer.next();
                }
                return bias(model).toFloats();
              }
            });
  }

  @Test
  void aRateWithoutABiasIsRefused() {
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class, () -> gate(RATE).withChoice(GateConfig.Choice.BEST));
    assertEquals(
        "loss.biasRate is 0.01, but there is no bias to update: choice.correctionBias is false",
        refused.getMessage());
  }
}
