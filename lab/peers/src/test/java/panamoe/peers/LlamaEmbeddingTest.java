package panamoe.peers;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.model.family.ReleasedModel;
import panamoe.open.ModelFolder;
import panamoe.open.StoredWeights;
import panamoe.retrieval.RetrievalGguf;
import panamoe.retrieval.RetrievalGguf.Kind;
import panamoe.tensor.DType;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Records what libllama pools. Skipped unless ci/fetch/peers has installed it. */
@Tag("slow")
class LlamaEmbeddingTest {
  private static final Path LIBRARY =
      Path.of("../../build/peers/llama").toAbsolutePath().normalize();

  @TempDir private Path folder;

  /** The record that RecordedPoolingTest reads is what libllama computes today. */
  @ParameterizedTest
  @EnumSource(Kind.class)
  void poolsAsRecorded(Kind kind) throws Exception {
    assumeTrue(Files.isDirectory(LIBRARY), "ci/fetch/peers has not installed libllama");
    ModelFolder model = ModelFolder.open(Path.of("../golden/hf/qwen3_c"));
    ReleasedModel released = ((StoredWeights.Released) model.weights()).model();
    Path file = folder.resolve("model.gguf");
    RetrievalGguf.write(file, kind, released);
    int[] tokens = new Random(6).ints(33, 0, 128).toArray();
    LibLlama library = new LibLlama(LIBRARY);
    MemorySegment opened = library.loadModel(file, false);
    float[] pooled;
    try (LlamaSequences texts =
        new LlamaSequences(
            library, opened, 1, tokens.length, tokens.length, 1, DType.FLOAT32, true)) {
      for (int i = 0; i < tokens.length; i++) {
        texts.add(tokens[i], 0, i, true);
      }
      texts.decode();
      pooled = texts.embedding(0, kind.width);
    } finally {
      library.freeModel(opened);
    }
    Path record = Path.of("../../runtime/src/test/resources/golden/pooling.json");
    ObjectNode all = (ObjectNode) JsonMapper.shared().readTree(Files.readString(record));
    if (Boolean.getBoolean("panamoe.pooling.record")) {
      ArrayNode given = all.putArray("tokens");
      for (int token : tokens) {
        given.add(token);
      }
      ArrayNode found = all.putArray(kind.name());
      for (float value : pooled) {
        found.add(value);
      }
      Files.writeString(record, JsonMapper.shared().writeValueAsString(all) + "\n");
    }
    assertArrayEquals(RetrievalGguf.floats(all.get(kind.name())), pooled, 1e-5f);
  }
}
