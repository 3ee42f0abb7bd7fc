package panamoe.open;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredType;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.Generation;
import panamoe.engine.GenerationRequest;
import panamoe.engine.Readout;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.ListenerLog;
import panamoe.model.LanguageModel;
import panamoe.tensor.DType;

/** Folders of models that only read texts. */
class ReadingModelsTest {
  private static final int[] PROMPT = {7, 1, 200, 31};
  private static final int LABELS = 3;

  @TempDir private Path folder;

  private static ReleasedFolder model() {
    return ReleasedFolder.mixtral(16, 12, 3, StoredType.F32);
  }

  private static float[] read(Path path, Readout readout) {
    try (Backend backend = new ReferenceBackend();
        LanguageModel model = ModelFolder.open(path).load(backend, DType.FLOAT32);
        Engine engine = new Engine(backend, model, new ByteTokenizer(), EngineConfig.one(32))) {
      ListenerLog log = new ListenerLog();
      engine.submit(GenerationRequest.reading(PROMPT, readout, GenerationRequest.Terms.USUAL), log);
      while (!log.over()) {
        engine.step();
      }
      assertNull(log.failure);
      assertEquals(Generation.End.LENGTH, log.generation.end());
      return log.read;
    }
  }

  /** As AutoModel saves it: without the prefix of a model with a head, and without the head. */
  @Test
  void aModelWithoutAHeadIsTheSameModel() throws IOException {
    ReleasedFolder whole = model();
    ReleasedFolder bare = model();
    bare.tensors.clear();
    whole.tensors.forEach(
        (name, tensor) -> {
          if (!name.startsWith("lm_head")) {
            bare.tensors.put(name.replaceFirst("^model\\.", ""), tensor);
          }
        });
    bare.config.putArray("architectures").add("MixtralModel");
    whole.write(folder.resolve("whole"));
    bare.write(folder.resolve("bare"));
    assertEquals(0, ModelFolder.open(folder.resolve("bare")).config().head().labels());
    for (Readout readout : new Readout[] {Readout.LAST, Readout.MEAN, Readout.FIRST}) {
      float[] expected = read(folder.resolve("whole"), readout);
      assertEquals(16, expected.length);
      assertArrayEquals(expected, read(folder.resolve("bare"), readout));
    }
    bare.config.putArray("architectures").add("MixtralForCausalLM"); // as Qwen3-Embedding-8B's
    bare.write(folder.resolve("declared"));
    refused("missing lm_head.weight", folder.resolve("declared"));
    Files.writeString(folder.resolve("declared/modules.json"), "[]");
    assertArrayEquals(
        read(folder.resolve("bare"), Readout.LAST), read(folder.resolve("declared"), Readout.LAST));
  }

  private static void refused(String why, Path path) {
    try (Backend backend = new ReferenceBackend()) {
      String said =
          assertThrows(
                  CheckpointException.class,
                  () -> ModelFolder.open(path).load(backend, DType.FLOAT32).close())
              .getMessage();
      assertTrue(said.contains(why), said);
    }
  }

  @Test
  void aClassifierHasLogitsOfItsLabels() throws IOException {
    ReleasedFolder whole = model();
    ReleasedFolder classifier = model();
    classifier.tensors.remove("lm_head.weight");
    classifier.random("score.weight", StoredType.F32, LABELS, 16);
    classifier.config.putArray("architectures").add("MixtralForSequenceClassification");
    Map<String, String> names = new TreeMap<>(Map.of("0", "a", "1", "b", "2", "c"));
    names.forEach(classifier.config.putObject("id2label")::put);
    whole.write(folder.resolve("whole"));
    Path path = classifier.write(folder.resolve("classifier"));
    assertEquals(LABELS, ModelFolder.open(path).config().head().labels());
    float[] hidden = read(folder.resolve("whole"), Readout.LAST);
    float[] weight = classifier.floats("score.weight");
    float[] found = read(path, Readout.LOGITS);
    assertEquals(LABELS, found.length);
    for (int label = 0; label < LABELS; label++) {
      double sum = 0;
      for (int i = 0; i < hidden.length; i++) {
        sum += (double) hidden[i] * weight[label * 16 + i];
      }
      assertEquals(sum, found[label], 1e-4);
    }
    try (Backend backend = new ReferenceBackend();
        LanguageModel model = ModelFolder.open(path).load(backend, DType.FLOAT32);
        Engine engine = Engine.forOne(backend, model, new ByteTokenizer())) {
      GenerationRequest text =
          GenerationRequest.of(PROMPT, SamplingConfig.GREEDY, StopConfig.of(1, List.of()));
      String said =
          assertThrows(IllegalArgumentException.class, () -> engine.submit(text, new ListenerLog()))
              .getMessage();
      assertTrue(said.startsWith("the model has no head for the next token"), said);
    }
  }
}
