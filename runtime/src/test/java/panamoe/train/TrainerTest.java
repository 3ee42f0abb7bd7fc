package panamoe.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.train.TrainerBench.BATCH;
import static panamoe.train.TrainerBench.SEQUENCE;
import static panamoe.train.TrainerBench.config;
import static panamoe.train.TrainerBench.steps;

import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.CheckpointStore;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.GateConfig;
import panamoe.config.ModelPresets.Architecture;
import panamoe.data.PackedExamples;
import panamoe.data.TokenSequences;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import tools.jackson.databind.node.ObjectNode;

/** {@link Trainer} on the CPU backend: it learns, is deterministic, and resumes bit for bit. */
class TrainerTest {
  private static void assertSameBits(List<float[]> expected, List<float[]> actual) {
    for (int i = 0; i < expected.size(); i++) {
      assertArrayEquals(expected.get(i), actual.get(i), 0f, "parameter " + i);
    }
  }

  @ParameterizedTest
  @EnumSource(Architecture.class)
  void learns(Architecture architecture) {
    GateConfig gate =
        switch (architecture) {
          case DENSE, MOE, PYRAMID, RESIDUAL, PR_MOE -> GateConfig.dropless(1);
          case DEEPSEEK -> GateConfig.deepSeek(2, 4);
          case MIXTRAL -> GateConfig.dropless(2);
        };
    try (TrainerBench bench = TrainerBench.open(config(architecture, gate, steps(60)), 2)) {
      double first = bench.trainer().next().loss();
      double last = first;
      while (!bench.trainer().finished()) {
        last = bench.trainer().next().loss();
      }
      assertEquals(Math.log(SyntheticSequences.VOCABULARY), first, 0.3);
      assertTrue(last < 0.6 * first, "loss went from " + first + " to " + last);
      assertTrue(bench.trainer().evaluate().bitsPerByte() < 0.6 * first / Math.log(2));
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void threadsAndRepetitionChangeNoBit(DType dtype) {
    GateConfig dropping = GateConfig.deepSpeed(2, 1.0, 2);
    RunConfig config = config(Architecture.PR_MOE, dropping, steps(6).withDType(dtype));
    List<List<float[]>> results = new ArrayList<>();
    for (int threads : new int[] {1, 2, 3, 2}) {
      try (TrainerBench bench = TrainerBench.open(config, threads)) {
        while (!bench.trainer().finished()) {
          bench.trainer().next();
        }
        results.add(bench.weights());
      }
    }
    results.forEach(result -> assertSameBits(results.getFirst(), result));
  }

  @Test
  void recomputingChangesNoBit() {
    GateConfig dropping = GateConfig.deepSpeed(1, 1.0, 2);
    List<List<float[]>> results = new ArrayList<>();
    for (boolean recompute : new boolean[] {false, true}) {
      TrainConfig training = steps(4).withRecompute(recompute);
      try (TrainerBench bench =
          TrainerBench.open(config(Architecture.PR_MOE, dropping, training), 2)) {
        while (!bench.trainer().finished()) {
          bench.trainer().next();
        }
        results.add(bench.weights());
      }
    }
    assertSameBits(results.get(0), results.get(1));
  }

  /** With a rate of 0 no validation is better than the first: the third worse one ends the run. */
  @Test
  void patienceEndsARunAndGoesOnCountingWhenItIsResumed(@TempDir Path directory) {
    TrainConfig still =
        TrainConfig.of(
                new TrainConfig.Schedule(20, 1e-30, 0, 0),
                new TrainConfig.Batch(BATCH, SEQUENCE, 1))
            .with(TrainConfig.Checkpoints.of(2, 0).withPatience(3));
    RunConfig config = config(Architecture.MOE, GateConfig.dropless(1), still);
    try (TrainerBench bench = TrainerBench.open(config, 1)) {
      for (int step = 1; step <= 5; step++) {
        bench.trainer().next();
        if (step % 2 == 0) {
          bench.trainer().validate();
          assertEquals(step == 2, bench.trainer().isBest());
        }
      }
      new RunCheckpoints(bench.trainer(), directory).save();
    }
    try (TrainerBench bench = TrainerBench.open(config, 1)) {
      restore(bench, config, directory);
      while (!bench.trainer().finished()) {
        bench.trainer().next();
        if (bench.trainer().step() % 2 == 0) {
          bench.trainer().validate();
        }
      }
      assertEquals(8, bench.trainer().step());
      assertEquals(OptionalLong.of(2), bench.trainer().bestStep());
      RunCheckpoints checkpoints = new RunCheckpoints(bench.trainer(), directory);
      checkpoints.save();
      Checkpoint last = RunCheckpoints.latest(directory, config, Ranks.alone()).orElseThrow();
      assertTrue(RunCheckpoints.isLast(config, last));
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16"})
  void resumesBitForBit(DType dtype, @TempDir Path directory) {
    RunConfig config =
        config(Architecture.PR_MOE, GateConfig.deepSpeed(1, 1.0, 2), steps(8).withDType(dtype));
    List<float[]> uninterrupted;
    try (TrainerBench bench = TrainerBench.open(config, 2)) {
      while (!bench.trainer().finished()) {
        bench.trainer().next();
      }
      uninterrupted = bench.weights();
    }
    try (TrainerBench bench = TrainerBench.open(config, 2)) {
      for (int i = 0; i < 5; i++) {
        bench.trainer().next();
      }
      new RunCheckpoints(bench.trainer(), directory).save();
    }
    try (TrainerBench bench = TrainerBench.open(config, 1)) {
      Checkpoint latest = RunCheckpoints.latest(directory, config, Ranks.alone()).orElseThrow();
      assertEquals(List.of(), new RunCheckpoints(bench.trainer(), directory).restore(latest));
      assertEquals(5, bench.trainer().step());
      while (!bench.trainer().finished()) {
        bench.trainer().next();
      }
      assertSameBits(uninterrupted, bench.weights());
    }
  }

  /** Weights without moments (an edited model) are a run before its first step. */
  @Test
  void weightsAtStep0BeginARunAndLaterOnesNeedTheirMoments(@TempDir Path directory) {
    RunConfig config = config(Architecture.MOE, GateConfig.dropless(1), steps(4));
    List<float[]> trained;
    try (TrainerBench bench = TrainerBench.open(config, 1)) {
      for (long step : new long[] {3, 0}) {
        saveWeights(bench.model(), config, step, directory.resolve("step" + step));
      }
      bench.trainer().next();
      trained = bench.weights();
    }
    try (TrainerBench bench = TrainerBench.open(config, 1)) {
      bench.model().parameters().parameters().forEach(each -> each.master().setFloat(0, 9));
      restore(bench, config, directory.resolve("step0"));
      bench.trainer().next();
      assertSameBits(trained, bench.weights());
      CheckpointException refused =
          assertThrows(
              CheckpointException.class, () -> restore(bench, config, directory.resolve("step3")));
      assertTrue(refused.getMessage().contains("first_moment."), refused.getMessage());
    }
  }

  private static void saveWeights(
      LanguageModel model, RunConfig config, long step, Path directory) {
    ObjectNode json = (ObjectNode) ConfigJson.tree(config);
    ObjectNode state = json.objectNode().put("step", step);
    List<Integer> experts = config.model().experts();
    Map<String, Tensor> weights = ModelTensors.masters(model);
    new CheckpointStore(directory, 1)
        .save(new CheckpointContents(step, json, state, experts, weights, Map.of()));
  }

  private static void restore(TrainerBench bench, RunConfig config, Path directory) {
    Checkpoint latest = RunCheckpoints.latest(directory, config, Ranks.alone()).orElseThrow();
    new RunCheckpoints(bench.trainer(), directory).restore(latest);
  }

  /** Without a backend: nothing can be allocated. */
  @Test
  void whatACheckpointDoesNotHoldIsRefusedBeforeThereIsATrainer(@TempDir Path directory) {
    RunConfig held = config(Architecture.MOE, GateConfig.dropless(1), steps(8));
    RunConfig claimed = config(Architecture.PR_MOE, GateConfig.dropless(1), steps(8));
    assertTrue(RunCheckpoints.latest(directory, held, Ranks.alone()).isEmpty());
    try (TrainerBench bench = TrainerBench.open(held, 1)) {
      new RunCheckpoints(bench.trainer(), directory).save();
      assertEquals(
          Optional.of(0L),
          RunCheckpoints.latest(directory, held.withSteps(9), Ranks.alone()).map(Checkpoint::step));
      assertRefused(directory, claimed, "was trained with another configuration");
      ObjectNode config = (ObjectNode) ConfigJson.tree(claimed);
      ObjectNode state = config.objectNode().put("step", 1);
      new CheckpointStore(directory, 1)
          .save(
              new CheckpointContents(
                  1,
                  config,
                  state,
                  claimed.model().experts(),
                  ModelTensors.masters(bench.model()),
                  Map.of()));
    }
    assertRefused(directory, claimed, "layers.0.moe.experts.0");
  }

  private static void assertRefused(Path directory, RunConfig config, String words) {
    CheckpointException refused =
        assertThrows(
            CheckpointException.class,
            () -> RunCheckpoints.latest(directory, config, Ranks.alone()));
    assertTrue(refused.getMessage().contains(words), refused.getMessage());
  }

  @Test
  void aValidationEndsWhereItsTextDoes() {
    SyntheticSequences endless = new SyntheticSequences(SEQUENCE, 9);
    TokenSequences three =
        new TokenSequences() {
          @Override
          public int length() {
            return SEQUENCE;
          }

          @Override
          public long validationSequences() {
            return 3 * BATCH;
          }

          @Override
          public Filled fillTraining(long first, Tensor ids, Tensor targets) {
            return endless.fillTraining(first, ids, targets);
          }

          @Override
          public Filled fillValidation(long first, Tensor ids, Tensor targets) {
            assertTrue(first < validationSequences(), "sequence " + first);
            return endless.fillValidation(first, ids, targets);
          }
        };
    List<Double> bits = new ArrayList<>();
    for (int batches : new int[] {3, Integer.MAX_VALUE}) {
      TrainConfig changed = steps(1).with(new TrainConfig.Checkpoints(0, 0, batches, 2));
      RunConfig config = config(Architecture.DENSE, GateConfig.dropless(1), changed);
      try (TrainerBench bench = TrainerBench.open(config, 1, three)) {
        bits.add(bench.trainer().evaluate().bitsPerByte());
      }
    }
    assertEquals(bits.getFirst(), bits.getLast());
  }

  @Test
  void microBatchesAddUpToTheBatch() {
    TrainConfig whole = steps(1);
    TrainConfig parts = whole.with(new TrainConfig.Batch(BATCH, SEQUENCE, 4));
    try (TrainerBench one = TrainerBench.open(config(Architecture.DENSE, null, whole), 2);
        TrainerBench four = TrainerBench.open(config(Architecture.DENSE, null, parts), 2)) {
      StepMetrics expected = one.trainer().next();
      StepMetrics actual = four.trainer().next();
      assertEquals(expected.loss(), actual.loss(), 1e-5);
      assertEquals(expected.gradientNorm(), actual.gradientNorm(), 1e-4);
    }
  }

  /** Examples with few and many targets: a target counts alike in each part of the batch. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void targetsCountAlikeInEveryPart(int ranks) {
    TrainConfig whole = steps(1);
    RunConfig alone = config(Architecture.MOE, GateConfig.dropless(1), whole);
    RunConfig parts =
        config(
            Architecture.MOE,
            GateConfig.dropless(1),
            whole.with(new TrainConfig.Batch(BATCH, SEQUENCE, 2)));
    StepMetrics expected;
    try (TrainerBench bench = TrainerBench.open(alone, 2, uneven())) {
      expected = bench.trainer().next();
    }
    List<StepMetrics> all =
        ThreadWorld.of(ranks)
            .run(
                world -> {
                  Ranks topology =
                      new Ranks(Topology.of(ranks), world, Strategy.FLAT, Overlap.NONE);
                  try (Backend backend = Backends.open("cpu", 1);
                      LanguageModel model = new LanguageModel(parts.model(), topology)) {
                    model.materialize(backend, DType.FLOAT32, true, parts.seed());
                    return new Trainer(backend, model, parts, uneven()).next();
                  }
                });
    for (StepMetrics actual : all) {
      assertEquals(expected.loss(), actual.loss(), 1e-5);
      assertEquals(expected.gradientNorm(), actual.gradientNorm(), 1e-4);
    }
  }

  /** Sequences with 1 to SEQUENCE - 1 targets. */
  private static PackedExamples uneven() {
    Random random = new Random(3);
    List<PackedExamples.Example> examples = new ArrayList<>();
    for (int i = 0; i < 2 * BATCH; i++) {
      int[] tokens = random.ints(SEQUENCE - i % 3, 0, SyntheticSequences.VOCABULARY).toArray();
      BitSet targets = new BitSet();
      targets.set(tokens.length - 1 - i * (tokens.length - 2) / (2 * BATCH), tokens.length);
      examples.add(new PackedExamples.Example(tokens, targets));
    }
    return new PackedExamples(
        examples.stream().map(List::of).toList(),
        List.of(List.of(examples.getFirst())),
        new Tokens16(),
        SEQUENCE,
        1);
  }

  /** The tables of tokens and positions are the only others, because their gradients are sparse. */
  @Test
  void clearsTheGradientsOfAllVectorsInOneCall() {
    RunConfig config = config(Architecture.PR_MOE, GateConfig.dropless(1), steps(2));
    AtomicInteger fills = new AtomicInteger();
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = new LanguageModel(config.model())) {
      Backend counted =
          (Backend)
              Proxy.newProxyInstance(
                  Backend.class.getClassLoader(),
                  new Class<?>[] {Backend.class},
                  (_, method, arguments) -> {
                    fills.addAndGet(method.getName().equals("fill") ? 1 : 0);
                    return method.invoke(backend, arguments);
                  });
      model.materialize(counted, DType.FLOAT32, true, config.seed());
      Trainer trainer =
          new Trainer(counted, model, config, new SyntheticSequences(SEQUENCE, config.seed()));
      trainer.next();
      fills.set(0);
      trainer.next();
      assertEquals(1 + 2, fills.get());
    }
  }

  @Test
  void reportsWhatTheGatesDid() {
    try (TrainerBench bench =
        TrainerBench.open(
            config(Architecture.PR_MOE, GateConfig.deepSpeed(1, 0.5, 1), steps(2)), 2)) {
      StepMetrics metrics = bench.trainer().next();
      assertEquals(List.of(0, 1), metrics.layers().stream().map(LayerLoad::layer).toList());
      for (LayerLoad load : metrics.layers()) {
        assertEquals((long) BATCH * SEQUENCE, load.routes());
        // Each expert keeps half an even share, so at least half of all routes must be dropped.
        assertTrue(load.dropRate() >= 0.5, "drop rate " + load.dropRate());
        assertTrue(
            load.routerEntropy() > 0 && load.routerEntropy() <= Math.log(load.experts()) + 1e-6);
      }
      assertTrue(metrics.toJson().contains("\"bits_per_byte\":"));
    }
  }

  @Test
  void aBadNumberStopsTheRunAndNamesStepAndLayer() {
    for (Architecture architecture : new Architecture[] {Architecture.DENSE, Architecture.PR_MOE}) {
      try (TrainerBench bench =
          TrainerBench.open(config(architecture, GateConfig.dropless(1), steps(8)), 2)) {
        bench.trainer().next();
        Parameter poisoned =
            bench.model().parameters().parameters().stream()
                .filter(p -> p.name().startsWith("layers.1.attention.output.weight"))
                .findFirst()
                .orElseThrow();
        poisoned.master().setFloat(3, Float.NaN);
        TrainingFailure failure = assertThrows(TrainingFailure.class, bench.trainer()::next);
        assertTrue(failure.getMessage().contains("step 2"), failure.getMessage());
        assertTrue(failure.getMessage().contains("layer 1"), failure.getMessage());
        assertEquals(1, bench.trainer().step());
      }
    }
  }
}
