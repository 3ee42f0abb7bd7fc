package panamoe.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.abi.NativeBackend;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.TensorFiles;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.AdapterConfig;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;
import panamoe.model.LanguageModel;
import panamoe.open.AdaptedBase;
import panamoe.open.InferenceMemory;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.open.NamedAdapters;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.param.Adapters;
import panamoe.param.Parameter;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/** {@link Trainer} with adapters over a saved model. */
class AdapterTrainingTest {
  private static final int SEQUENCE = 64;

  @TempDir private static Path base;

  private static final TrainConfig TRAINING =
      TrainConfig.of(
              new TrainConfig.Schedule(5, 1e-2, 1e-3, 0), new TrainConfig.Batch(8, SEQUENCE, 1))
          .with(new TrainConfig.Checkpoints(0, 0, 1, 2));

  private static final ModelConfig MODEL =
      ModelPresets.of(Size.TINY, Architecture.PR_MOE, SyntheticSequences.VOCABULARY);

  /** Saves random weights. */
  @BeforeAll
  static void saveModel() {
    saveModel(base, 1);
  }

  private static void saveModel(Path folder, long seed) {
    RunConfig config = new RunConfig(MODEL, TRAINING, 1);
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = new LanguageModel(MODEL)) {
      model.materialize(backend, DType.FLOAT32, true, seed);
      new RunCheckpoints(new Trainer(backend, model, config, data()), folder).save();
    }
  }

  private static SyntheticSequences data() {
    return new SyntheticSequences(SEQUENCE, 9);
  }

  private static RunConfig config(TrainConfig training, double dropout, DType matrices) {
    AdapterConfig adapters = new AdapterConfig(4, 8, false, dropout, List.of("all", "router"));
    return new RunConfig(MODEL, training, 1)
        .adapting(adapters, AdaptedBase.of(ModelFolder.open(base), matrices));
  }

  private static LanguageModel load(RunConfig run, Backend backend, Ranks ranks) {
    DType compute = run.training().dtype();
    return run.base()
        .load(run.model(), run.adapters(), backend, compute, run.seed(), ranks, new ArrayList<>());
  }

  private static Map<String, float[]> adapters(LanguageModel model) {
    Map<String, float[]> adapters = new TreeMap<>();
    model.parameters().trained().forEach(it -> adapters.put(it.name(), it.master().toFloats()));
    return adapters;
  }

  /** Trains some steps, from the checkpoint in {@code folder} on if there is one, and saves. */
  private static Map<String, float[]> train(RunConfig run, int steps, Path folder) {
    try (Backend backend = Backends.open("cpu", 2);
        LanguageModel model = load(run, backend, Ranks.alone())) {
      Trainer trainer = new Trainer(backend, model, run, data());
      RunCheckpoints checkpoints = folder == null ? null : new RunCheckpoints(trainer, folder);
      if (folder != null) {
        RunCheckpoints.latest(folder, run, Ranks.alone()).ifPresent(checkpoints::restore);
      }
      for (int i = 0; i < steps; i++) {
        trainer.next();
      }
      if (folder != null) {
        checkpoints.save();
      }
      return adapters(model);
    }
  }

  private static void assertSameBits(Map<String, float[]> expected, Map<String, float[]> actual) {
    assertEquals(expected.keySet(), actual.keySet());
    expected.forEach((name, values) -> assertArrayEquals(values, actual.get(name), 0f, name));
  }

  static Stream<Topology> topologies() {
    return Stream.of(
        Topology.of(2),
        new Topology(2, 1, 2, 1),
        new Topology(2, 2, 1, 1),
        new Topology(4, 2, 2, 1),
        new Topology(8, 2, 4, 2));
  }

  private static List<StepMetrics> ranked(RunConfig run, Topology topology) {
    return ThreadWorld.of(topology.ranks())
        .run(
            world -> {
              List<StepMetrics> metrics = new ArrayList<>();
              Ranks ranks = new Ranks(topology, world, Strategy.FLAT, Overlap.NONE);
              try (Backend backend = Backends.open("cpu", 1);
                  LanguageModel model = load(run, backend, ranks)) {
                Trainer trainer = new Trainer(backend, model, run, data());
                while (!trainer.finished()) {
                  metrics.add(trainer.next());
                }
                return metrics;
              }
            })
        .getLast();
  }

  /** Factors of slices: the gradient of the one that each slice has whole is summed over them. */
  @ParameterizedTest
  @MethodSource("topologies")
  void lossesAndNormsEqualThoseOfOneRank(Topology topology) {
    RunConfig run = config(TRAINING, 0, null);
    List<StepMetrics> one = ranked(run, Topology.ONE);
    List<StepMetrics> many = ranked(run, topology);
    for (int i = 0; i < one.size(); i++) {
      assertEquals(one.get(i).loss(), many.get(i).loss(), 1e-4);
      double norm = one.get(i).gradientNorm();
      assertEquals(norm, many.get(i).gradientNorm(), 1e-4 * (1 + norm));
    }
    assertTrue(one.getLast().loss() < one.getFirst().loss() - 0.1, one.toString());
  }

  @Test
  void aResumedRunHasTheBitsOfOneThatWasNotStopped(@TempDir Path folder) {
    RunConfig run = config(TRAINING, 0.1, DType.INT8_BLOCKS);
    Map<String, float[]> expected = train(run, 4, null);
    train(run, 2, folder);
    assertSameBits(expected, train(run, 2, folder));
    try (TensorFiles saved = Checkpoint.open(folder).model()) {
      assertTrue(saved.tensors().keySet().stream().allMatch(Adapters::isFactor));
      assertTrue(saved.tensors().containsKey("layers.1.moe.experts.3.up.weight.lora_a"));
    }
    // Opened like any model: the adapters are the trained ones, and the weights the model's own.
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel opened = ModelFolder.open(folder).load(backend, DType.FLOAT32)) {
      for (Parameter parameter : opened.parameters().parameters()) {
        if (parameter.role() == Parameter.Role.ADAPTER) {
          assertArrayEquals(
              expected.get(parameter.name()), parameter.value().toFloats(), parameter.name());
        }
      }
    }
  }

  /** The cache of experts on disk holds the model's matrices, which all its adapters share. */
  @Test
  void adaptersOfOneModelShareItsFileOfExperts(@TempDir Path folder) throws IOException {
    WeightTypes types = WeightTypes.of(DType.FLOAT32);
    long most = InferenceMemory.of(MODEL, types).weights() - 1;
    Path cache = folder.resolve("cache");
    try (Backend backend = Backends.open("cpu", 1)) {
      for (double dropout : new double[] {0, 0.1}) {
        Path run = folder.resolve("run " + dropout);
        train(config(TRAINING, dropout, null), 1, run);
        InferenceSettings settings = new InferenceSettings(types, most, cache, List.of());
        ModelFolder opened = ModelFolder.open(run);
        try (LanguageModel model =
            opened.load(backend, settings, Ranks.alone(), new ArrayList<>(), _ -> {})) {
          assertTrue(model.parameters().expertCache().isPresent());
        }
      }
    }
    try (Stream<Path> files = Files.list(cache)) {
      assertEquals(1, files.filter(file -> file.toString().endsWith(".experts")).count());
    }
  }

  @Test
  void recomputingChangesNoBit() {
    RunConfig kept = config(TRAINING, 0.1, null);
    RunConfig recomputed = config(TRAINING.withRecompute(true), 0.1, null);
    assertSameBits(train(kept, 3, null), train(recomputed, 3, null));
  }

  @Test
  void aBadAdapterIsNamed() {
    RunConfig run = config(TRAINING, 0, null);
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = load(run, backend, Ranks.alone())) {
      Trainer trainer = new Trainer(backend, model, run, data());
      trainer.next();
      String name = "layers.1.attention.value.weight.lora_b";
      model.parameters().trained().stream()
          .filter(each -> each.name().equals(name))
          .forEach(each -> each.master().setFloat(3, Float.NaN));
      String said = assertThrows(TrainingFailure.class, trainer::next).getMessage();
      assertTrue(
          said.contains("layer 1 is the first whose output is not finite, and " + name), said);
    }
  }

  @Test
  void anotherOrNoModelIsRefused() throws IOException {
    AdaptedBase of = AdaptedBase.of(ModelFolder.open(base), null);
    AdaptedBase changed = new AdaptedBase(of.path(), "0".repeat(64), null);
    assertTrue(
        assertThrows(CheckpointException.class, changed::open)
            .getMessage()
            .contains("has changed since the adapters were trained over it"));
    AdaptedBase gone = new AdaptedBase(of.path() + "-moved", of.sha256(), null);
    assertTrue(
        assertThrows(CheckpointException.class, gone::open)
            .getMessage()
            .contains("is no longer at"));
  }

  /** Adapters are read without their model; over other weights they have a note. */
  @Test
  void aRunsAdaptersAreServedByAMovedModel(@TempDir Path folder) throws IOException {
    Path first = folder.resolve("first");
    saveModel(first, 1);
    RunConfig run = config(TRAINING, 0, null);
    AdaptedBase of = AdaptedBase.of(ModelFolder.open(first), null);
    Path trained = folder.resolve("run");
    train(run.adapting(run.adapters(), of), 1, trained.resolve("checkpoints"));
    Path moved = Files.move(first, folder.resolve("moved"));
    NamedAdapters served = NamedAdapters.ofAll(ModelFolder.open(moved), trained);
    assertTrue(served.factors().getFirst().containsKey("layers.1.moe.experts.3.up.weight"));
    assertEquals(List.of(), served.notes());

    Path another = folder.resolve("another");
    saveModel(another, 2);
    List<String> warnings = new ArrayList<>();
    ModelFolder other = ModelFolder.open(another);
    InferenceSettings settings =
        InferenceSettings.of(WeightTypes.of(DType.FLOAT32))
            .with(NamedAdapters.ofAll(other, trained));
    try (Backend backend = Backends.open("cpu", 1)) {
      other.load(backend, settings, warnings).close();
    }
    String warned = warnings.getFirst();
    assertTrue(
        warned.contains(trained + " was trained over " + of.path())
            && warned.contains("not those of " + another),
        warned);
  }

  /** What the device counts is at most the forecast, and not much less. */
  @Test
  void theForecastHolds() {
    TrainConfig half = TRAINING.withDType(DType.BFLOAT16);
    for (TrainConfig training : List.of(TRAINING, half, TRAINING.withRecompute(true))) {
      for (DType matrices : new DType[] {null, DType.INT8_BLOCKS}) {
        RunConfig run = config(training, 0, matrices);
        double forecast = MemoryForecast.of(run, Topology.ONE).total();
        try (NativeBackend backend = NativeBackend.open("cpu", 1);
            LanguageModel model = load(run, backend, Ranks.alone())) {
          Trainer trainer = new Trainer(backend, model, run, data());
          long before = backend.memoryUsage().inUse();
          trainer.next();
          trainer.next();
          // Kernels keep the memory that they unpack weights into.
          long scratch = backend.memoryUsage().inUse() - before;
          double used = (backend.memoryUsage().peak() - scratch) / forecast;
          assertTrue(used > 0.75 && used <= 1, used + " with " + matrices + " in " + training);
        }
      }
    }
  }
}
