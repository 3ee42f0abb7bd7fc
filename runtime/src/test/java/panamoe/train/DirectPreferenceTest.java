package panamoe.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.train.TrainerBench.BATCH;
import static panamoe.train.TrainerBench.SEQUENCE;
import static panamoe.train.TrainerBench.config;
import static panamoe.train.TrainerBench.steps;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.CheckpointException;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.AdapterConfig;
import panamoe.config.GateConfig;
import panamoe.config.HeadConfig;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets.Architecture;
import panamoe.data.PackedExamples;
import panamoe.data.PackedExamples.Example;
import panamoe.model.LanguageModel;
import panamoe.open.AdaptedBase;
import panamoe.open.ModelFolder;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;

/** {@link DirectPreference} as the objective of a trainer, on pairs whose rule can be learnt. */
class DirectPreferenceTest {
  private static final PreferenceConfig PREFERENCE = new PreferenceConfig(0.5);

  @TempDir private Path folder;

  /** Of each prompt an answer of even tokens is chosen, and one of odd tokens rejected. */
  private static PackedExamples pairs() {
    Random random = new Random(3);
    List<List<Example>> pairs = new ArrayList<>();
    for (int i = 0; i < 24; i++) {
      int prompt = random.nextInt(SyntheticSequences.VOCABULARY);
      pairs.add(List.of(answer(random, prompt, 0), answer(random, prompt, 1)));
    }
    return new PackedExamples(
        pairs.subList(0, 20), pairs.subList(20, 24), new Tokens16(), SEQUENCE, 1);
  }

  private static Example answer(Random random, int prompt, int parity) {
    int[] tokens = new int[3 + random.nextInt(3)];
    tokens[0] = prompt;
    for (int i = 1; i < tokens.length; i++) {
      tokens[i] = 2 * random.nextInt(SyntheticSequences.VOCABULARY / 2) + parity;
    }
    BitSet targets = new BitSet();
    targets.set(1, tokens.length);
    return new Example(tokens, targets);
  }

  private static RunConfig run(int steps, int microBatches) {
    TrainConfig training = steps(steps).with(new TrainConfig.Batch(BATCH, SEQUENCE, microBatches));
    RunConfig plain = config(Architecture.MOE, GateConfig.dropless(1), training);
    return plain.preferring(PREFERENCE);
  }

  private static ModelConfig untied() {
    ModelConfig tied = config(Architecture.MOE, GateConfig.dropless(1), steps(1)).model();
    return new ModelConfig(
        tied.vocabulary(),
        tied.context(),
        tied.hidden(),
        tied.embedding(),
        tied.blocks(),
        tied.finalNorm(),
        new HeadConfig(false, false),
        tied.initialWeights(),
        null);
  }

  /** A trainer in the run's folder, and what a test does with it. */
  private static <T> T with(RunConfig run, RunFolder folder, Ranks ranks, Body<T> body) {
    PackedExamples pairs = pairs();
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = new LanguageModel(run.model(), ranks)) {
      model.materialize(backend, DType.FLOAT32, true, run.seed());
      DirectPreference objective = new DirectPreference(PREFERENCE, pairs, folder);
      return body.run(new Trainer(backend, model, run, pairs, objective));
    }
  }

  private interface Body<T> {
    T run(Trainer trainer);
  }

  private RunFolder created(RunConfig run, String name) throws IOException {
    RunFolder created = RunFolder.create(folder.resolve(name));
    created.begin(run, Map.of(), null, null);
    return created;
  }

  @Test
  void theModelLearnsToPreferTheChosenAnswers() throws IOException {
    RunConfig run = run(20, 1);
    try (RunFolder files = created(run, "run")) {
      with(
          run,
          files,
          Ranks.alone(),
          trainer -> {
            StepMetrics first = trainer.next();
            assertEquals(Math.log(2), first.loss(), 1e-6);
            assertEquals(0, first.pairs().margin(), 1e-6);
            StepMetrics last = first;
            while (!trainer.finished()) {
              last = trainer.next();
            }
            assertTrue(last.loss() < 0.3, "the loss is " + last.loss());
            assertEquals(1, last.pairs().accuracy());
            PairMetrics unseen = trainer.evaluate().pairs();
            assertEquals(1, unseen.accuracy());
            assertTrue(unseen.loss() < 0.4 && unseen.margin() > 1, unseen.toString());
            String line = last.withValidation(trainer.evaluate()).toJson();
            assertTrue(line.contains("\"pair_accuracy\":1.0"), line);
            assertTrue(line.contains("\"validation_reward_margin\":" + unseen.margin()), line);
            return null;
          });
    }
  }

  /** Adapters on every matrix, the head's too: the model without them stays the reference. */
  @Test
  void adaptersLearnAgainstTheModelWithoutThem() throws IOException {
    RunConfig whole = new RunConfig(untied(), steps(40), 5).preferring(PREFERENCE);
    Path base = folder.resolve("base");
    try (TrainerBench bench = TrainerBench.open(whole.preferring(null), 1)) {
      new RunCheckpoints(bench.trainer(), base).save();
    }
    AdapterConfig adapters = AdapterConfig.of(4, List.of("attention", "experts", "router", "head"));
    RunConfig run = whole.adapting(adapters, AdaptedBase.of(ModelFolder.open(base), null));
    try (RunFolder files = created(run, "run");
        Backend backend = Backends.open("cpu", 1);
        LanguageModel model =
            run.base()
                .load(
                    run.model(),
                    adapters,
                    backend,
                    DType.FLOAT32,
                    run.seed(),
                    Ranks.alone(),
                    new ArrayList<>())) {
      PackedExamples pairs = pairs();
      DirectPreference objective = new DirectPreference(PREFERENCE, pairs, files);
      Trainer trainer = new Trainer(backend, model, run, pairs, objective);
      StepMetrics first = trainer.next();
      assertEquals(0, first.pairs().margin());
      assertEquals(Math.log(2), first.loss(), 1e-12);
      PairMetrics second = trainer.next().pairs();
      assertTrue(second.margin() != 0, second.toString());
      StepMetrics last = first;
      while (!trainer.finished()) {
        last = trainer.next();
      }
      assertTrue(last.loss() < 0.5, "the loss is " + last.loss());
      assertTrue(trainer.evaluate().pairs().margin() > 0.2);
      assertTrue(Files.notExists(files.path().resolve("reference.json")));
    }
  }

  /** Its gradient would be another function's than the margin's. */
  @Test
  void dropoutOfTheHeadsAdapterIsRefused() {
    for (String target : List.of("head", "attention")) {
      AdapterConfig dropout = new AdapterConfig(4, 8, false, 0.1, List.of(target));
      try (LanguageModel model = new LanguageModel(untied()).adapted(dropout)) {
        if (target.equals("attention")) {
          model.head().requirePreferences();
        } else {
          String said =
              assertThrows(IllegalArgumentException.class, () -> model.head().requirePreferences())
                  .getMessage();
          assertTrue(said.contains("leave out the dropout, or the target head"), said);
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 2", "1, 4", "2, 1", "2, 2"})
  void lossesEqualThoseOfOneRankAndOneBatch(int ranks, int microBatches) throws IOException {
    List<StepMetrics> one;
    try (RunFolder files = created(run(3, 1), "one")) {
      one = with(run(3, 1), files, Ranks.alone(), DirectPreferenceTest::threeSteps);
    }
    RunConfig run = run(3, microBatches);
    try (RunFolder files = created(run, "many")) {
      List<List<StepMetrics>> all =
          ThreadWorld.of(ranks)
              .run(
                  world ->
                      with(
                          run,
                          files,
                          new Ranks(Topology.of(ranks), world, Strategy.FLAT, Overlap.NONE),
                          DirectPreferenceTest::threeSteps));
      for (List<StepMetrics> many : all) {
        for (int i = 0; i < one.size(); i++) {
          assertEquals(one.get(i).loss(), many.get(i).loss(), 1e-4);
          assertEquals(one.get(i).pairs().margin(), many.get(i).pairs().margin(), 1e-4);
          assertEquals(one.get(i).bitsPerByte(), many.get(i).bitsPerByte(), 1e-3);
          assertEquals(one.get(i).gradientNorm(), many.get(i).gradientNorm(), 1e-3);
        }
        assertEquals(
            one.getLast().validation().pairs().loss(),
            many.getLast().validation().pairs().loss(),
            1e-4);
      }
    }
  }

  private static List<StepMetrics> threeSteps(Trainer trainer) {
    List<StepMetrics> metrics = new ArrayList<>();
    while (!trainer.finished()) {
      metrics.add(trainer.next());
    }
    metrics.add(metrics.removeLast().withValidation(trainer.evaluate()));
    return metrics;
  }

  /** The model before its first step stays the reference. */
  @Test
  void aResumedRunHasTheSameReference() throws IOException {
    RunConfig run = run(6, 1);
    try (RunFolder files = created(run, "run")) {
      float[] whole =
          with(
              run,
              files,
              Ranks.alone(),
              trainer -> {
                while (trainer.step() < 3) {
                  trainer.next();
                }
                new RunCheckpoints(trainer, files.checkpoints()).save();
                return last(trainer);
              });
      assertArrayEquals(whole, with(run, files, Ranks.alone(), trainer -> goneOn(files, trainer)));
      Path reference = files.path().resolve("reference.json");
      Files.writeString(reference, "{\"training\": [], \"validation\": []}");
      assertRefused(files, run, reference + " is of other pairs of answers");
      Files.delete(reference);
      assertRefused(files, run, "cannot read " + reference);
    }
  }

  private static float[] goneOn(RunFolder files, Trainer trainer) {
    RunCheckpoints checkpoints = new RunCheckpoints(trainer, files.checkpoints());
    checkpoints.restore(
        RunCheckpoints.latest(files.checkpoints(), trainer.config(), Ranks.alone()).orElseThrow());
    return last(trainer);
  }

  private static float[] last(Trainer trainer) {
    while (!trainer.finished()) {
      trainer.next();
    }
    return trainer.model().head().matrix().master().toFloats();
  }

  private static void assertRefused(RunFolder files, RunConfig run, String message) {
    CheckpointException e =
        assertThrows(
            CheckpointException.class,
            () -> with(run, files, Ranks.alone(), trainer -> goneOn(files, trainer)));
    assertTrue(e.getMessage().startsWith(message), e.getMessage());
  }
}
