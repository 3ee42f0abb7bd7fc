package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointStore;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.ModelConfig;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.open.InferenceMemory;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.param.ExpertCacheStatistics;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import tools.jackson.databind.node.JsonNodeFactory;

/** Texts that answer another, which an encoder reads, are the same in any company. */
class EncoderModelTest {
  private static final int CONTEXT = 40;

  /** Blocks for a part of the texts, and guesses: texts are interrupted, and read again. */
  private static final EngineConfig STORM = new EngineConfig(10, 4, 4, 16, 0, true, 3);

  private static final EngineConfig ALONE = new EngineConfig(10, 4, 1, 1, 1, false, 0);

  private static LanguageModel model(Backend backend, DType dtype) {
    LanguageModel model = new LanguageModel(EncoderModel.of(CONTEXT));
    model.materialize(backend, dtype, false, 3);
    model.pack(backend, dtype);
    return model;
  }

  /** Answers the same texts together, or each after the one before. */
  private static List<Recorder> write(Engine engine, boolean together) {
    Random random = new Random(4);
    List<Recorder> texts = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      Recorder recorder = new Recorder();
      engine.submit(
          GenerationRequest.of(
                  random.ints(1 + random.nextInt(20), 0, 256).toArray(),
                  SamplingConfig.of(i % 3 * 0.5, 0, 1, i),
                  new StopConfig(18, 0, List.of(), Set.of(), true, false))
              .withLogprobs(2),
          recorder);
      texts.add(recorder);
      do {
        engine.step();
      } while (!together && !recorder.over());
    }
    while (engine.step()) {
      engine.idle();
    }
    return texts;
  }

  @ParameterizedTest
  @CsvSource({"FLOAT32, false", "BFLOAT16, true"})
  void anAnswerIsThatOfATextAlone(DType dtype, boolean int8) {
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = model(backend, dtype);
        Engine alone = new Engine(backend, model, new ByteTokenizer(), ALONE.withInt8Cache(int8));
        Engine storm = new Engine(backend, model, new ByteTokenizer(), STORM.withInt8Cache(int8))) {
      List<Recorder> expected = write(alone, false);
      List<Recorder> found = write(storm, true);
      assertTrue(storm.interruptions() > 0);
      for (int i = 0; i < expected.size(); i++) {
        assertTrue(expected.get(i).tokens.size() > 5);
        assertEquals(expected.get(i).tokens, found.get(i).tokens);
        assertEquals(expected.get(i).logprobBits, found.get(i).logprobBits);
      }
      // Both are greedy, and differ by the text that was read.
      assertNotEquals(expected.get(0).logprobBits, expected.get(3).logprobBits);
    }
  }

  /** Experts of both parts of the model are read when they are needed, to the same bits. */
  @Test
  void expertsOnTheDiskChangeNoAnswer(@TempDir Path folder) {
    ModelConfig config = EncoderModel.of(CONTEXT);
    WeightTypes types = WeightTypes.of(DType.FLOAT32);
    try (Backend backend = Backends.open("cpu", 1)) {
      try (LanguageModel drawn = new LanguageModel(config)) {
        drawn.materialize(backend, DType.FLOAT32, false, 3);
        JsonNodeFactory json = JsonNodeFactory.instance;
        new CheckpointStore(folder.resolve("run"), 1)
            .save(
                new CheckpointContents(
                    1,
                    json.objectNode().set("model", ConfigJson.tree(config)),
                    json.objectNode(),
                    config.experts(),
                    ModelTensors.masters(drawn),
                    Map.of()));
      }
      ModelFolder saved = ModelFolder.open(folder.resolve("run"));
      // Room for two or three of eight experts of 24 x 32 x 2 floats, with what packing adds.
      long memory = InferenceMemory.of(config, types).weights() - 4 * 4096;
      InferenceSettings little = new InferenceSettings(types, memory, folder, List.of());
      List<List<Recorder>> answers = new ArrayList<>();
      for (InferenceSettings settings : List.of(InferenceSettings.of(types), little)) {
        try (LanguageModel model =
                saved.load(backend, settings, Ranks.alone(), new ArrayList<>(), _ -> {});
            Engine engine = new Engine(backend, model, new ByteTokenizer(), STORM)) {
          answers.add(write(engine, true));
          model
              .parameters()
              .expertCache()
              .ifPresent(
                  cache -> {
                    ExpertCacheStatistics told = cache.statistics();
                    assertTrue(told.slots() < told.experts(), told.toString());
                    assertEquals(8, told.experts());
                    assertTrue(told.uses().hits() < told.uses().count(), told.toString());
                  });
          assertEquals(settings == little, model.parameters().expertCache().isPresent());
        }
      }
      for (int i = 0; i < answers.getFirst().size(); i++) {
        assertTrue(answers.getFirst().get(i).tokens.size() > 5);
        assertEquals(answers.getFirst().get(i).tokens, answers.getLast().get(i).tokens);
        assertEquals(answers.getFirst().get(i).logprobBits, answers.getLast().get(i).logprobBits);
      }
    }
  }

  /** The cache holds what is written; what the encoder reads has a place of its own. */
  @Test
  void aPromptMayHaveMoreTokensThanTheCache() {
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = model(backend, DType.FLOAT32);
        Engine engine =
            new Engine(
                backend, model, new ByteTokenizer(), new EngineConfig(2, 4, 1, 4, 0, false, 0))) {
      Recorder recorder = new Recorder();
      SamplingConfig greedy = SamplingConfig.of(0, 0, 1, 0);
      StopConfig seven = new StopConfig(7, 0, List.of(), Set.of(), true, false);
      engine.submit(GenerationRequest.of(new int[20], greedy, seven), recorder);
      while (engine.step()) {
        engine.idle();
      }
      assertEquals(7, recorder.tokens.size());
      StopConfig eight = StopConfig.of(8, List.of());
      refused(
          "up to 9 tokens, more than the cache's 8",
          () -> engine.submit(GenerationRequest.of(new int[2], greedy, eight), new Recorder()));
    }
  }

  private static void refused(String part, Runnable call) {
    String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
    assertTrue(message.contains(part), message);
  }

  @Test
  void whatItCannotDoIsRefused() {
    try (Backend backend = Backends.open("reference", 1);
        LanguageModel model = model(backend, DType.FLOAT32);
        Engine engine = new Engine(backend, model, new ByteTokenizer(), ALONE)) {
      GenerationRequest full =
          GenerationRequest.of(
              new int[CONTEXT], SamplingConfig.of(0, 0, 1, 0), StopConfig.of(1, List.of()));
      refused(
          "the prompt has 41 tokens, more than the model's context of 40",
          () -> engine.submit(full, new Recorder())); // its end counts
      refused("answers a text", () -> ModelRunner.nextLogits(backend, model, 1, 2));
      StepRows rows = new StepRows(1);
      rows.add(1, 0, 0);
      try (ModelRunner runner = new ModelRunner(backend, model, ALONE)) {
        refused("the encoder has read no text for slot 0", () -> runner.run(rows));
      }
      refused(
          "neither trained nor given a loss",
          () -> {
            try (LanguageModel trained = new LanguageModel(EncoderModel.of(CONTEXT))) {
              trained.materialize(backend, DType.FLOAT32, true, 1);
            }
          });
    }
    Topology two = new Topology(2, 1, 1, 1);
    List<String> messages =
        ThreadWorld.of(2)
            .run(
                world -> {
                  Ranks ranks = new Ranks(two, world, Strategy.FLAT, Overlap.NONE);
                  String message =
                      assertThrows(
                              IllegalArgumentException.class,
                              () -> new LanguageModel(EncoderModel.of(CONTEXT), ranks))
                          .getMessage();
                  ranks.close();
                  return message;
                });
    assertTrue(messages.getFirst().contains("runs on one rank, not on 2"), messages.getFirst());
  }
}
