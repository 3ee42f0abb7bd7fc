package panamoe.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Activation;
import panamoe.backend.abi.NativeBackend;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.EveryPart;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.model.LanguageModel;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;
import panamoe.tensor.DType;

/** Compares a step's memory, measured by the device, with {@link MemoryForecast}. */
class MemoryForecastTest {
  private static final int BATCH = 8;
  private static final int SEQUENCE = 64;
  // The length of EveryPart's context.
  private static final TrainConfig MANY = TrainConfig.of(2, 64, 24);

  static Stream<Arguments> runs() {
    TrainConfig training = TrainConfig.of(2, BATCH, SEQUENCE);
    return Stream.of(
        Arguments.of("every part", EveryPart.model(), MANY),
        Arguments.of("every part in bfloat16", EveryPart.model(), MANY.withDType(DType.BFLOAT16)),
        Arguments.of("every part recomputed", EveryPart.model(), MANY.withRecompute(true)),
        Arguments.of("dense", config(List.of(0, 0, 0, 0), null), training),
        Arguments.of("PR-MoE", config(List.of(0, 8, 0, 16), GateConfig.dropless(1)), training),
        Arguments.of(
            "top-2 dropping", config(List.of(0, 4, 0, 4), GateConfig.deepSpeed(2, 1, 4)), training),
        Arguments.of(
            "bfloat16",
            config(List.of(0, 8, 0, 16), GateConfig.dropless(1)),
            training.withDType(DType.BFLOAT16)),
        Arguments.of(
            "recomputed",
            config(List.of(0, 4, 0, 4), GateConfig.dropless(1)),
            training.withRecompute(true)));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("runs")
  void isWithinATenth(String name, ModelConfig config, TrainConfig training) {
    double peak = peak(new RunConfig(config, training, 1), Ranks.alone());
    double forecast = MemoryForecast.of(config, training, Topology.ONE).total();
    assertEquals(1, peak / forecast, 0.1, name + " took " + peak + " bytes, forecast " + forecast);
  }

  static Stream<Topology> topologies() {
    return Stream.of(
        Topology.of(2),
        new Topology(2, 1, 1, 1),
        new Topology(4, 2, 1, 1),
        new Topology(4, 2, 2, 1),
        new Topology(4, 2, 2, 2),
        new Topology(4, 2, 4, 2));
  }

  @ParameterizedTest
  @MethodSource("topologies")
  void isThatOfTheRankThatTakesMost(Topology topology) {
    ModelConfig config = config(List.of(0, 8, 0, 16), GateConfig.dropless(1));
    TrainConfig training = TrainConfig.of(2, BATCH, SEQUENCE);
    double peak =
        Collections.max(
            ThreadWorld.of(topology.ranks())
                .run(
                    world ->
                        peak(
                            new RunConfig(config, training, 1),
                            new Ranks(topology, world, Strategy.FLAT, Overlap.NONE))));
    double forecast = MemoryForecast.of(config, training, topology).total();
    assertEquals(
        1, peak / forecast, 0.1, topology + " took " + peak + " bytes, forecast " + forecast);
  }

  static Stream<Topology> everySharing() {
    return Stream.of(
        Topology.of(3),
        new Topology(4, 2, 1, 1),
        new Topology(4, 2, 2, 1),
        new Topology(4, 2, 2, 2),
        new Topology(4, 1, 2, 2),
        new Topology(4, 4, 2, 1),
        new Topology(8, 4, 4, 2));
  }

  /** Includes biases, sinks and norms of queries and keys. */
  @ParameterizedTest
  @MethodSource("everySharing")
  void countsOfEveryParameterAreThoseOfTheRankThatHoldsMost(Topology topology) {
    ModelConfig config = EveryPart.sliceable(topology.tensorDegree());
    List<Map<String, Counts>> ranks =
        ThreadWorld.of(topology.ranks())
            .run(
                world -> {
                  Ranks place = new Ranks(topology, world, Strategy.FLAT, Overlap.NONE);
                  try (LanguageModel model = new LanguageModel(config, place)) {
                    return counts(model, p -> new Counts(p.count(), p.replicas().size()));
                  }
                });
    Map<String, Counts> most = new HashMap<>();
    ranks.forEach(rank -> rank.forEach((name, counts) -> most.merge(name, counts, Counts::most)));
    try (LanguageModel whole = new LanguageModel(config)) {
      assertEquals(most, counts(whole, p -> new Counts(p.count(topology), p.replicas(topology))));
    }
    long held =
        ranks.stream()
            .mapToLong(rank -> rank.values().stream().mapToLong(Counts::elements).sum())
            .max()
            .orElseThrow();
    TrainConfig training = TrainConfig.of(1, 2 * topology.dataDegree(), 8);
    assertEquals(4 * held, MemoryForecast.of(config, training, topology).weights());
    assertEquals(4 * held, MemoryForecast.of(config, training, topology).gradients());
  }

  private record Counts(long elements, int replicas) {
    Counts most(Counts other) {
      assertEquals(replicas, other.replicas);
      return elements >= other.elements ? this : other;
    }
  }

  private static Map<String, Counts> counts(
      LanguageModel model, Function<Parameter, Counts> ofParameter) {
    return model.parameters().parameters().stream()
        .collect(Collectors.toMap(Parameter::name, ofParameter));
  }

  @Test
  void refusesWhatDoesNotFitInOneSentence() {
    MemoryForecast forecast =
        new MemoryForecast(1L << 30, 1L << 30, 2L << 30, 3L << 30, 1L << 30, 0);
    forecast.requireFits(16L << 30, 2);
    assertEquals(
        "training on 2 ranks takes 16.0 GiB of memory (8.0 GiB for weights, gradients and moments, 8.0 GiB for"
            + " activations), but 15.0 GiB are free; a smaller batch, more microBatches or recompute take less",
        assertThrows(IllegalArgumentException.class, () -> forecast.requireFits(15L << 30, 2))
            .getMessage());
    assertEquals(
        "training takes 8.0 GiB of memory (4.0 GiB for weights, gradients and moments, 4.0 GiB for activations), but"
            + " 3.5 GiB are free; choose a smaller model",
        assertThrows(IllegalArgumentException.class, () -> forecast.requireFits(7L << 29, 1))
            .getMessage());
  }

  private static ModelConfig config(List<Integer> experts, GateConfig gate) {
    return new UniformModel(
            SyntheticSequences.VOCABULARY,
            SEQUENCE,
            128,
            new UniformModel.Attention(4, 4, UniformModel.Positions.LEARNED),
            new UniformModel.FeedForward(512, Activation.GELU_TANH, experts, gate != null, gate),
            NormConfig.Kind.LAYER,
            true,
            0.02)
        .toConfig();
  }

  /** The most bytes in use on a rank during two steps. */
  private static double peak(RunConfig run, Ranks ranks) {
    try (NativeBackend backend = NativeBackend.open("cpu", 1);
        LanguageModel model = new LanguageModel(run.model(), ranks)) {
      model.materialize(backend, run.training().dtype(), true, 1);
      Trainer trainer =
          new Trainer(
              backend, model, run, new SyntheticSequences(run.training().batch().length(), 1));
      trainer.next();
      trainer.next();
      return backend.memoryUsage().peak();
    }
  }
}
