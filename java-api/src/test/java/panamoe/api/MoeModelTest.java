package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointStore;
import panamoe.data.ByteTokenizer;
import panamoe.data.Corpus;
import panamoe.data.TrainingData;
import panamoe.model.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelConfig;
import panamoe.model.ModelPresets;
import panamoe.tensor.DType;
import panamoe.train.RunCheckpoints;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import panamoe.train.Trainer;

/** A model trained for a moment on one sentence, then opened and used as a framework would. */
class MoeModelTest {
  private static final String SENTENCE = "Die Würde des Menschen ist unantastbar. ";

  @TempDir private static Path folder;

  @BeforeAll
  static void train() {
    ByteTokenizer tokenizer = new ByteTokenizer();
    TrainConfig training = TrainConfig.of(250, 8, 32);
    RunConfig run =
        new RunConfig(
            ModelPresets.of(ModelPresets.Size.TINY, ModelPresets.Architecture.PR_MOE, tokenizer.vocabularySize()),
            training.withDType(DType.FLOAT32),
            1);
    Corpus corpus = Corpus.of(Collections.nCopies(40, SENTENCE.repeat(8)));
    try (Backend backend = Backends.open("cpu", 2);
        LanguageModel model = new LanguageModel(run.model())) {
      model.materialize(backend, DType.FLOAT32, true, run.seed());
      Trainer trainer = new Trainer(backend, model, run, new TrainingData(corpus, tokenizer, 32, run.seed()));
      while (!trainer.finished()) {
        trainer.next();
      }
      new RunCheckpoints(trainer, folder.resolve("checkpoints")).save();
    }
  }

  @Test
  void writesWhatItLearnt() {
    try (Device device = Device.open("cpu", 2);
        MoeModel model = MoeModel.open(device, folder, false)) {
      StringBuilder streamed = new StringBuilder();
      String text = model.generate("Die Würde des ", 30, 0, 1, streamed::append);
      assertEquals(text, streamed.toString());
      assertTrue(text.startsWith("Menschen ist"), text);
      assertEquals(List.of(), model.warnings());
      assertEquals("ü", model.decode(model.encode("ü")));
    }
    assertEquals(MoeModelExample.run(folder), MoeModelExample.run(folder));
  }

  @Test
  void goesOnWhenItsContextIsFull() {
    try (Device device = Device.open("cpu", 2);
        MoeModel model = MoeModel.open(device, folder, true)) {
      String text = model.generate("Die Würde ", model.context() + 40, 0, 1, _ -> {});
      assertTrue(model.encode(text).length >= model.context());
    }
  }

  @Test
  void threadsChangeNoLogit() {
    float[][] logits = new float[2][];
    for (int threads = 1; threads <= 2; threads++) {
      try (Device device = Device.open("cpu", threads);
          MoeModel model = MoeModel.open(device, folder, true)) {
        logits[threads - 1] = model.nextLogits(model.encode("Die Würde"));
      }
    }
    assertArrayEquals(logits[0], logits[1], 0f);
  }

  @Test
  void refusesWhatDoesNotFit() throws Exception {
    try (Device device = Device.open("cpu", 1)) {
      Path nothing = folder.resolve("nothing");
      assertThrows(PanamoeException.BadModel.class, () -> MoeModel.open(device, nothing, false));
      Path empty = Files.createDirectories(folder.resolve("empty"));
      assertThrows(PanamoeException.BadModel.class, () -> MoeModel.open(device, empty, false));
      try (MoeModel model = MoeModel.open(device, folder, false)) {
        assertThrows(PanamoeException.BadArgument.class, model::nextLogits);
        assertThrows(PanamoeException.BadArgument.class, () -> model.nextLogits(100_000));
        assertThrows(
            PanamoeException.BadArgument.class, () -> model.generate("x", 1, -1, 1, _ -> {}));
        assertThrows(PanamoeException.BadArgument.class, () -> model.decode(100_000));
        assertThrows(PanamoeException.BadArgument.class, () -> model.decode(-1));
      }
    }
  }

  /** Whole files with the right checksums, whose content is no model. */
  @Test
  void refusesAModelThatIsNoneWhateverIsWrongWithIt(@TempDir Path run) throws Exception {
    ModelConfig config =
        ModelPresets.of(ModelPresets.Size.TINY, ModelPresets.Architecture.DENSE, new ByteTokenizer().vocabularySize());
    save(run, ConfigJson.tree(config), config.experts());
    assertTrue(refusal(run).contains("missing embedding.weight"), refusal(run));

    Files.writeString(run.resolve("tokenizer.json"), "{");
    assertTrue(refusal(run).contains("tokenizer.json"), refusal(run));

    save(run, JsonNodeFactory.instance.objectNode().put("hidden", "wide"), config.experts());
    assertTrue(refusal(run).contains("config.json, model: at $.hidden"), refusal(run));
  }

  private static void save(Path run, JsonNode model, List<Integer> experts) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.set("model", model);
    new CheckpointStore(run.resolve("checkpoints"), 1)
        .save(new CheckpointContents(1, json, json.objectNode(), experts, Map.of(), Map.of()));
  }

  private static String refusal(Path run) {
    try (Device device = Device.open("reference", 1)) {
      return assertThrows(PanamoeException.BadModel.class, () -> MoeModel.open(device, run, false)).getMessage();
    }
  }
}
