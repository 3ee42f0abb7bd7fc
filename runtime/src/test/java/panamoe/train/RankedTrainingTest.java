package panamoe.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.LoadTarget;
import panamoe.comm.CommunicationException;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;
import panamoe.tensor.DType;

/**
 * {@link Trainer} and {@link RunCheckpoints} over ranks: losses, norms and loads are those of one
 * rank, and any topology reads the checkpoints.
 */
class RankedTrainingTest {
  private static final int SEQUENCE = 64;

  /** 16 ranks, 8 experts, tensor degree 4, 2 slices of each expert. */
  private static final Topology FIGURE_7 = new Topology(16, 8, 4, 2);

  /** The preset "tiny" on synthetic sequences. */
  private static RunConfig tiny(Architecture architecture, int microBatches, DType dtype) {
    ModelConfig model = ModelPresets.of(Size.TINY, architecture, SyntheticSequences.VOCABULARY);
    TrainConfig training =
        TrainConfig.of(
                new TrainConfig.Schedule(5, 3e-3, 3e-4, 0),
                new TrainConfig.Batch(8, SEQUENCE, microBatches))
            .withDType(dtype)
            .with(new TrainConfig.Checkpoints(0, 0, 1, 2));
    return new RunConfig(model, training, 1);
  }

  private static Trainer trainer(Backend backend, LanguageModel model, RunConfig config) {
    model.materialize(backend, config.training().dtype(), true, config.seed());
    return new Trainer(backend, model, config, new SyntheticSequences(SEQUENCE, 9));
  }

  /**
   * Resumes from {@code from} if it has a checkpoint, trains, and saves there; returns every rank's
   * metrics.
   */
  private static List<List<StepMetrics>> train(
      RunConfig config, Topology topology, int steps, Path folder) {
    return ThreadWorld.of(topology.ranks())
        .run(
            world -> {
              List<StepMetrics> metrics = new ArrayList<>();
              Ranks ranks = new Ranks(topology, world, Strategy.FLAT, Overlap.NONE);
              Optional<Checkpoint> latest =
                  folder == null ? Optional.empty() : RunCheckpoints.latest(folder, config, ranks);
              try (Backend backend = Backends.open("cpu", 1);
                  LanguageModel model = new LanguageModel(config.model(), ranks)) {
                Trainer trainer = trainer(backend, model, config);
                latest.ifPresent(each -> new RunCheckpoints(trainer, folder).restore(each));
                while (metrics.size() < steps) {
                  StepMetrics step = trainer.next();
                  metrics.add(trainer.finished() ? step.withValidation(trainer.evaluate()) : step);
                }
                if (folder != null) {
                  new RunCheckpoints(trainer, folder).save();
                }
              }
              return metrics;
            });
  }

  private static void assertSameRun(
      List<StepMetrics> expected, List<StepMetrics> actual, double tolerance) {
    assertEquals(expected.size(), actual.size());
    for (int i = 0; i < expected.size(); i++) {
      StepMetrics one = expected.get(i);
      StepMetrics many = actual.get(i);
      assertEquals(one.step(), many.step());
      assertEquals(one.loss(), many.loss(), tolerance);
      assertEquals(one.bitsPerByte(), many.bitsPerByte(), tolerance);
      assertEquals(one.gradientNorm(), many.gradientNorm(), tolerance * (1 + one.gradientNorm()));
      assertEquals(
          one.validation() == null ? 0 : one.validation().bitsPerByte(),
          many.validation() == null ? 0 : many.validation().bitsPerByte(),
          tolerance);
      assertEquals(one.layers().size(), many.layers().size());
      for (int layer = 0; layer < one.layers().size(); layer++) {
        LayerLoad load = one.layers().get(layer);
        LayerLoad other = many.layers().get(layer);
        assertEquals(load.routes(), other.routes());
        assertEquals(load.auxiliaryLoss(), other.auxiliaryLoss(), 10 * tolerance);
        assertEquals(load.zLoss(), other.zLoss(), 10 * tolerance);
        assertEquals(load.routerEntropy(), other.routerEntropy(), 10 * tolerance);
      }
    }
  }

  static Stream<Topology> topologies() {
    return Stream.of(
        Topology.of(2),
        new Topology(2, 1, 2, 1),
        new Topology(4, 2, 1, 1),
        new Topology(4, 2, 2, 2),
        Topology.of(8),
        new Topology(8, 2, 2, 1),
        new Topology(8, 2, 4, 2),
        FIGURE_7);
  }

  @ParameterizedTest
  @MethodSource("topologies")
  void lossesEqualThoseOfOneRank(Topology topology) {
    RunConfig config = tiny(Architecture.PR_MOE, 1, DType.FLOAT32);
    List<StepMetrics> one = train(config, Topology.ONE, 5, null).getFirst();
    for (List<StepMetrics> each : train(config, topology, 5, null)) {
      assertSameRun(one, each, 1e-4);
    }
  }

  @Test
  void microBatchesAreThoseOfOneRank() {
    RunConfig config = tiny(Architecture.MOE, 2, DType.FLOAT32);
    List<StepMetrics> one = train(config, Topology.ONE, 5, null).getFirst();
    assertSameRun(one, train(config, new Topology(4, 2, 1, 1), 5, null).getFirst(), 1e-4);
  }

  @Test
  void bfloat16FollowsOneRankWithinItsRounding() {
    RunConfig config = tiny(Architecture.PR_MOE, 1, DType.BFLOAT16);
    List<StepMetrics> one = train(config, Topology.ONE, 5, null).getFirst();
    assertSameRun(one, train(config, new Topology(4, 2, 2, 2), 5, null).getFirst(), 3e-2);
  }

  @Test
  void aRankHoldsTheMomentsOfItsShareAlone() {
    Topology topology = new Topology(4, 2, 1, 1);
    RunConfig config = tiny(Architecture.PR_MOE, 1, DType.FLOAT32);
    List<long[]> held =
        ThreadWorld.of(4)
            .run(
                world -> {
                  Ranks ranks = new Ranks(topology, world, Strategy.FLAT, Overlap.NONE);
                  try (Backend backend = Backends.open("cpu", 1);
                      LanguageModel model = new LanguageModel(config.model(), ranks)) {
                    long moments = 0;
                    for (AdamW.Moments each :
                        trainer(backend, model, config).optimizer().moments()) {
                      moments += each.count();
                    }
                    return new long[] {moments, model.parameters().count()};
                  }
                });
    long whole;
    try (LanguageModel model = new LanguageModel(config.model())) {
      whole = model.parameters().count();
    }
    assertEquals(whole, held.stream().mapToLong(rank -> rank[0]).sum());
    for (long[] rank : held) {
      assertEquals(whole / 4.0, rank[0], 0.01 * whole);
      assertTrue(rank[1] < whole);
    }
  }

  @Test
  void smallParametersTravelTogether() {
    RunConfig config = tiny(Architecture.DENSE, 1, DType.FLOAT32);
    ThreadWorld.of(2)
        .run(
            world -> {
              Ranks ranks = new Ranks(Topology.of(2), world, Strategy.FLAT, Overlap.NONE);
              try (Backend backend = Backends.open("cpu", 1);
                  LanguageModel model = new LanguageModel(config.model(), ranks)) {
                Trainer trainer = trainer(backend, model, config);
                long before = world.traffic().nearMessages();
                trainer.next();
                long messages = world.traffic().nearMessages() - before;
                assertTrue(
                    messages < model.parameters().parameters().size(), messages + " messages");
              }
              return null;
            });
  }

  @Test
  void aBatchThatDoesNotDivideIsRefused() {
    RunConfig config = tiny(Architecture.DENSE, 4, DType.FLOAT32);
    CommunicationException refused =
        assertThrows(CommunicationException.class, () -> train(config, Topology.of(4), 1, null));
    assertTrue(
        refused
            .getMessage()
            .contains("2 sequences of a micro-batch do not divide among 4 data ranks"),
        refused.getMessage());
  }

  /** One rank's weights become NaN: the message blames no other rank and no later gate. */
  @ParameterizedTest
  @CsvSource({"DENSE,1", "PR_MOE,1", "MOE,0", "MOE,1"})
  void aBadNumberNamesStepRankAndLayer(Architecture architecture, int layer) {
    RunConfig config = tiny(architecture, 1, DType.FLOAT32);
    CommunicationException failure =
        assertThrows(
            CommunicationException.class,
            () ->
                ThreadWorld.of(4)
                    .run(
                        world -> {
                          Ranks ranks =
                              new Ranks(Topology.of(4), world, Strategy.FLAT, Overlap.NONE);
                          try (Backend backend = Backends.open("cpu", 1);
                              LanguageModel model = new LanguageModel(config.model(), ranks)) {
                            Trainer trainer = trainer(backend, model, config);
                            trainer.next();
                            if (world.rank() == 2) {
                              poison(model, "layers." + layer + ".attention.output.weight");
                            }
                            return trainer.next();
                          }
                        }));
    assertTrue(failure.getCause() instanceof TrainingFailure, failure.toString());
    String said = failure.getCause().getMessage();
    assertTrue(said.startsWith("step 2: "), said);
    assertTrue(said.contains("on rank 2, layer " + layer + " is the first"), said);
  }

  private static void poison(LanguageModel model, String parameter) {
    model.parameters().parameters().stream()
        .filter(each -> each.name().equals(parameter))
        .forEach(each -> each.master().setFloat(3, Float.NaN));
  }

  @ParameterizedTest
  @MethodSource("topologies")
  void aCheckpointGoesOnOnAnyTopology(Topology topology, @TempDir Path folder) throws IOException {
    RunConfig config = tiny(Architecture.PR_MOE, 1, DType.FLOAT32);
    List<StepMetrics> uninterrupted = train(config, Topology.ONE, 5, null).getFirst();
    train(config, topology, 2, folder);
    List<StepMetrics> resumed = train(config, new Topology(4, 2, 4, 2), 2, folder).getFirst();
    assertSameRun(uninterrupted.subList(2, 4), resumed, 1e-5);
    assertSameRun(
        uninterrupted.subList(4, 5), train(config, Topology.ONE, 1, folder).getFirst(), 1e-5);
    try (Stream<Path> files = Files.list(folder.resolve("step-00000004"))) {
      assertEquals(
          4, files.filter(file -> file.getFileName().toString().startsWith("model-")).count());
    }
  }

  @Test
  void savingAndRestoringChangesNoBit(@TempDir Path folder) {
    RunConfig config = tiny(Architecture.PR_MOE, 1, DType.FLOAT32);
    Topology topology = new Topology(4, 2, 2, 2);
    List<List<StepMetrics>> uninterrupted = train(config, topology, 5, null);
    train(config, topology, 2, folder);
    List<List<StepMetrics>> resumed = train(config, topology, 3, folder);
    for (int rank = 0; rank < topology.ranks(); rank++) {
      for (int step = 0; step < 3; step++) {
        assertEquals(
            uninterrupted.get(rank).get(2 + step).loss(), resumed.get(rank).get(step).loss());
        assertEquals(
            uninterrupted.get(rank).get(2 + step).gradientNorm(),
            resumed.get(rank).get(step).gradientNorm());
      }
    }
  }

  /**
   * Random weights have equal bits on every topology, and so have their checkpoints, tensor by
   * tensor.
   */
  @Test
  void aCheckpointOfAnyTopologyIsThatOfOneRank(@TempDir Path folder) {
    RunConfig config = tiny(Architecture.PR_MOE, 1, DType.FLOAT32);
    train(config, FIGURE_7, 0, folder);
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel fresh = new LanguageModel(config.model());
        LanguageModel loaded = new LanguageModel(config.model())) {
      fresh.materialize(backend, DType.FLOAT32, false, config.seed());
      loaded.materialize(backend, DType.FLOAT32, false, config.seed() + 1);
      Map<String, LoadTarget> masters = new LinkedHashMap<>();
      ModelTensors.masters(loaded)
          .forEach(
              (name, tensor) ->
                  masters.put(
                      name,
                      new LoadTarget(
                          tensor.dtype(), tensor.shape(), LoadTarget.Share.WHOLE, tensor)));
      Checkpoint.open(folder).loadModel(masters, backend, false, true, _ -> {});
      List<Parameter> expected = fresh.parameters().parameters();
      for (int i = 0; i < expected.size(); i++) {
        assertArrayEquals(
            expected.get(i).master().toFloats(),
            loaded.parameters().parameters().get(i).master().toFloats());
      }
    }
  }

  @Test
  void aCheckpointOfAnotherModelIsRefusedOnEveryRank(@TempDir Path folder) {
    train(tiny(Architecture.MOE, 1, DType.FLOAT32), Topology.of(2), 0, folder);
    CommunicationException refused =
        assertThrows(
            CommunicationException.class,
            () -> train(tiny(Architecture.PR_MOE, 1, DType.FLOAT32), Topology.of(4), 1, folder));
    assertTrue(
        refused.getMessage().contains("was trained with another configuration"),
        refused.getMessage());
    assertTrue(refused.getCause() instanceof CheckpointException);
  }

  @Test
  void everyTensorHasItsNameAndShape() {
    Map<String, long[]> shapes =
        ModelTensors.shapes(tiny(Architecture.PR_MOE, 1, DType.FLOAT32).model());
    assertArrayEquals(new long[] {256, 64}, shapes.get("layers.1.moe.experts.7.up.weight"));
    assertArrayEquals(new long[] {64}, shapes.get("layers.0.attention.output.bias"));
  }
}
