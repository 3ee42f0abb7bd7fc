package panamoe.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.config.ModelPresets;
import panamoe.config.ModelPresets.Architecture;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationRequest;
import panamoe.engine.Readout;
import panamoe.engine.StopConfig;
import panamoe.engine.routes.RouteFile;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.ListenerLog;
import panamoe.io.DataException;
import panamoe.model.LanguageModel;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** A training step with the routes that an engine has recorded. */
class RouteReplayTest {
  private static final int LENGTH = 16;
  private static final int BATCH = 4;
  private static final SyntheticSequences DATA = new SyntheticSequences(LENGTH, 3);

  @TempDir private Path folder;
  private final Backend backend = Backends.open("cpu", 2);

  private static RunConfig run(Architecture architecture, boolean recompute) {
    return new RunConfig(
        ModelPresets.of(ModelPresets.Size.TINY, architecture, new ByteTokenizer().vocabularySize()),
        TrainConfig.of(1, BATCH, LENGTH).withRecompute(recompute),
        1);
  }

  /** Records the first {@code count} training sequences by the model that {@code seed} draws. */
  private Path recorded(RunConfig run, long seed, int count) {
    Path path = folder.resolve("routes");
    try (LanguageModel model = new LanguageModel(run.model());
        TensorScope scope = TensorScope.confined(backend)) {
      model.materialize(backend, DType.FLOAT32, false, seed);
      model.pack(backend, DType.FLOAT32);
      EngineConfig config = new EngineConfig(20, 4, 3, 10, 0.25, true, 0);
      try (RouteFile file = RouteFile.append(path, run.model());
          Engine engine = new Engine(backend, model, new ByteTokenizer(), config)) {
        engine.record(file::append);
        Tensor ids = scope.allocate(DType.INT32, LENGTH);
        Tensor targets = scope.allocate(DType.INT32, LENGTH);
        for (int i = 0; i < count; i++) {
          DATA.fillTraining(i, ids, targets);
          engine.submit(
              GenerationRequest.of(ids.toInts(), SamplingConfig.GREEDY, StopConfig.of(1, List.of()))
                  .withLogprobs(0)
                  .with(i % 2 == 0 ? null : Readout.LOGPROBS),
              new ListenerLog());
        }
        while (engine.step()) {}
      }
    }
    return path;
  }

  /**
   * @param routes to replay; null: the gates choose
   */
  private StepMetrics step(RunConfig run, long seed, Path routes) {
    try (LanguageModel model = new LanguageModel(run.model())) {
      model.materialize(backend, DType.FLOAT32, true, seed);
      Trainer trainer = new Trainer(backend, model, run, DATA);
      if (routes == null) {
        return trainer.next();
      }
      try (RouteFile file = RouteFile.open(routes, run.model())) {
        Trainer.requireRoutes(file, run, DATA, 0);
        trainer.replay(file);
        return trainer.next();
      }
    }
  }

  private static long[][] counts(StepMetrics metrics) {
    return metrics.layers().stream().map(LayerLoad::counts).toArray(long[][]::new);
  }

  static Stream<Arguments> runs() {
    return Stream.of(Architecture.MIXTRAL, Architecture.DEEPSEEK, Architecture.PR_MOE)
        .flatMap(each -> Stream.of(false, true).map(recompute -> Arguments.of(each, recompute)));
  }

  @ParameterizedTest
  @MethodSource("runs")
  void ofTheSameModelIsTheStepThatItsGatesChoose(Architecture architecture, boolean recompute) {
    RunConfig run = run(architecture, recompute);
    StepMetrics own = step(run, 1, null);
    StepMetrics replayed = step(run, 1, recorded(run, 1, BATCH));
    assertEquals(own.loss(), replayed.loss());
    assertEquals(own.gradientNorm(), replayed.gradientNorm());
    assertArrayEquals(counts(own), counts(replayed));
  }

  @ParameterizedTest
  @MethodSource("runs")
  void ofAnotherModelHasItsRoutes(Architecture architecture, boolean recompute) {
    RunConfig run = run(architecture, recompute);
    StepMetrics before = step(run, 1, null);
    StepMetrics own = step(run, 2, null);
    StepMetrics replayed = step(run, 2, recorded(run, 1, BATCH));
    assertArrayEquals(counts(before), counts(replayed));
    assertFalse(Arrays.deepEquals(counts(own), counts(replayed)));
  }

  @Test
  void isRefusedBeforeTheFirstStepIfATextIsNotRecorded() {
    RunConfig run = run(Architecture.MIXTRAL, false);
    Path routes = recorded(run, 1, BATCH - 1);
    String message = assertThrows(DataException.class, () -> step(run, 1, routes)).getMessage();
    assertTrue(message.contains(", but of none that a training text begins with"), message);
  }
}
