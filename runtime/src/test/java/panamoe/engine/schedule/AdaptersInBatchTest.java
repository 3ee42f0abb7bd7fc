package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.config.ModelConfig;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationRequest;
import panamoe.engine.GenerationRequest.Terms;
import panamoe.engine.Readout;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.model.LanguageModel;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.open.NamedAdapters;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.testkit.EveryNativeBackend;

/** Sequences with several adapters in one batch. */
class AdaptersInBatchTest {
  private static final int ADAPTERS = 8;

  /** A model of dense and MoE layers, whose matrices are whole blocks. */
  private static final ModelFolder INT4 =
      ModelFolder.open(Path.of("..", "lab", "golden", "hf", "qwen3_moe_b_bf16"));

  private static final int SEQUENCES = 16;
  private static final int TOKENS = 12;

  /** Steps with rows of prompts and of completions, blocks that are shared, and guesses. */
  private static final EngineConfig BATCH = new EngineConfig(256, 4, 16, 24, 1, true, 2);

  private static final EngineConfig ALONE = new EngineConfig(16, 4, 1, 64, 1, false, 0);

  /** Sequence i of the batch: half of them begin alike. */
  private static GenerationRequest request(int i, String adapter, int tokens) {
    Random random = new Random(i < ADAPTERS + 1 ? 0 : i);
    int[] prompt = random.ints(i < ADAPTERS + 1 ? 19 : 1 + i, 0, 256).toArray();
    return GenerationRequest.of(
            prompt, SamplingConfig.of(i % 2, 0, 1, i), StopConfig.of(tokens, List.of()))
        .withLogprobs(3)
        .with(Terms.USUAL.with(adapter));
  }

  private static String adapter(int i) {
    return i % (ADAPTERS + 1) == 0 ? "" : "a" + (i % (ADAPTERS + 1) - 1);
  }

  private static ListenerLog alone(
      Backend backend, int i, NamedAdapters all, boolean int4, int tokens) {
    int own = all.names().indexOf(adapter(i));
    NamedAdapters one =
        own < 0
            ? NamedAdapters.NONE
            : new NamedAdapters(List.of(adapter(i)), List.of(all.factors().get(own)));
    try (LanguageModel model = model(backend, one, int4);
        Engine engine = new Engine(backend, model, new ByteTokenizer(), ALONE)) {
      return run(engine, request(i, adapter(i), tokens));
    }
  }

  private static LanguageModel model(Backend backend, NamedAdapters adapters, boolean int4) {
    WeightTypes blocks = new WeightTypes(DType.FLOAT32, DType.INT4_BLOCKS);
    return int4
        ? INT4.load(backend, InferenceSettings.of(blocks).with(adapters), new ArrayList<>())
        : AdaptedModel.of(backend, adapters);
  }

  private static ListenerLog run(Engine engine, GenerationRequest request) {
    ListenerLog log = new ListenerLog();
    engine.submit(request, log);
    while (!log.over()) {
      engine.step();
    }
    return log;
  }

  /**
   * Also with ranks that are padded to the largest, and, without adapters of experts, in steps that
   * are captured.
   */
  @ParameterizedTest
  @CsvSource({"false, true", "false, false", "true, true"})
  void eachSequenceHasTheBitsOfItAlone(boolean int4, boolean experts) {
    try (Backend backend = Backends.open("cpu", 2)) {
      assertSameBits(backend, int4, experts, SEQUENCES, TOKENS);
    }
  }

  /** The emulation of a GPU is slow: few sequences. */
  @EveryNativeBackend
  void onEveryBackend(Backend backend) {
    assertSameBits(backend, false, true, 4, 3);
  }

  private static void assertSameBits(
      Backend backend, boolean int4, boolean experts, int sequences, int tokens) {
    List<ListenerLog> together = new ArrayList<>();
    ModelConfig config = int4 ? INT4.config() : AdaptedModel.config();
    NamedAdapters adapters = AdaptedModel.adapters(config, ADAPTERS, experts);
    try (LanguageModel model = model(backend, adapters, int4);
        Engine engine = new Engine(backend, model, new ByteTokenizer(), BATCH)) {
      for (int i = 0; i < sequences; i++) {
        together.add(new ListenerLog());
        engine.submit(request(i, adapter(i), tokens), together.getLast());
      }
      while (together.stream().anyMatch(log -> !log.over())) {
        engine.step();
      }
    }
    Set<List<Long>> different = new HashSet<>();
    for (int i = 0; i < sequences; i++) {
      ListenerLog alone = alone(backend, i, adapters, int4, tokens);
      assertEquals(tokens, alone.tokens.size());
      assertEquals(alone.tokens, together.get(i).tokens, "sequence " + i);
      assertEquals(alone.logprobBits, together.get(i).logprobBits, "sequence " + i);
      different.add(alone.logprobBits);
    }
    assertEquals(sequences, different.size(), "an adapter changes nothing");
  }

  /** A prefix is found again by the same adapter alone. */
  @Test
  void adaptersShareNoPrefix() {
    NamedAdapters adapters = AdaptedModel.adapters(2);
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = AdaptedModel.of(backend, adapters);
        Engine engine = new Engine(backend, model, new ByteTokenizer(), BATCH)) {
      for (String adapter : List.of("a0", "a1", "")) {
        for (int before : List.of(0, 16)) {
          ListenerLog log = run(engine, request(0, adapter, TOKENS));
          assertEquals(before, log.generation.sharedTokens(), "adapter " + adapter);
        }
      }
    }
  }

  /** What is read of a prompt, such as its vector, has the adapter too. */
  @Test
  void aPromptIsReadWithItsAdapter() {
    NamedAdapters adapters = AdaptedModel.adapters(2);
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = AdaptedModel.of(backend, adapters);
        Engine engine = new Engine(backend, model, new ByteTokenizer(), BATCH)) {
      int[] prompt = {1, 2, 3, 4, 5};
      Set<Float> first = new HashSet<>();
      for (String adapter : List.of("a0", "a1", "")) {
        Terms terms = Terms.USUAL.with(adapter);
        first.add(run(engine, GenerationRequest.reading(prompt, Readout.LAST, terms)).read[0]);
      }
      assertEquals(3, first.size());
      IllegalArgumentException unknown =
          assertThrows(
              IllegalArgumentException.class,
              () -> engine.submit(request(0, "other", 1), new ListenerLog()));
      assertEquals("there is no adapter other; the model has a0, a1", unknown.getMessage());
    }
  }
}
