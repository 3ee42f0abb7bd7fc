package panamoe.retrieval;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.InputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.CheckpointException;
import panamoe.data.ByteTokenizer;
import panamoe.engine.Readout;
import panamoe.engine.schedule.ModelRunner;
import panamoe.model.LanguageModel;
import panamoe.open.EmbeddingForm;
import panamoe.open.ModelFolder;
import panamoe.retrieval.RetrievalGguf.Kind;
import panamoe.tensor.DType;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What libllama 0.5.0 pools of a small Qwen3 model in GGUF; LlamaEmbeddingTest records it. */
class RecordedPoolingTest {
  @TempDir private Path folder;

  @ParameterizedTest
  @EnumSource(Kind.class)
  void ourRowsArePooledAlike(Kind kind) throws Exception {
    JsonNode record;
    try (InputStream json = getClass().getResourceAsStream("/golden/pooling.json")) {
      record = JsonMapper.shared().readTree(json);
    }
    int[] tokens =
        StreamSupport.stream(record.get("tokens").spliterator(), false)
            .mapToInt(JsonNode::asInt)
            .toArray();
    float[] expected = RetrievalGguf.floats(record.get(kind.name()));
    Path file = folder.resolve("model.gguf");
    RetrievalGguf.write(file, kind);
    ModelFolder model = ModelFolder.open(file);
    boolean ranks = kind == Kind.RANK;
    Readout readout = ranks ? Readout.LOGITS : EmbeddingForm.of(model).pooling();
    if (ranks) {
      assertThrows(CheckpointException.class, () -> EmbeddingForm.of(model));
      assertEquals(2, model.config().head().labels());
    } else {
      String said =
          assertThrows(
                  IllegalArgumentException.class, () -> EmbeddingForm.of(model).prompt("query"))
              .getMessage();
      assertEquals("the model has no prompt named query, nor any other", said);
    }
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel loaded = model.load(backend, DType.FLOAT32);
        PromptReader reader = new PromptReader(backend, loaded, new ByteTokenizer(), 64)) {
      List<int[]> twice = List.of(tokens, Arrays.copyOf(tokens, 20), tokens);
      List<float[]> all = new ArrayList<>();
      reader.read(twice, readout, "text", all::add);
      float[] read = all.getLast();
      if (ranks) {
        double score = new RerankForm("", 0, 1).score(read);
        read = new float[] {(float) score, (float) (1 - score)};
        String said =
            assertThrows(
                    IllegalArgumentException.class,
                    () -> ModelRunner.nextLogits(backend, loaded, tokens))
                .getMessage();
        assertTrue(said.startsWith("the model has no head for the next token"), said);
      }
      assertArrayEquals(expected, read, 1e-4f);
    }
  }
}
