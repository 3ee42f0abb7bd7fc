package panamoe.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.api.Device;
import panamoe.api.ModelStep;
import panamoe.api.PanamoeException;
import panamoe.api.TrainableModel;
import panamoe.data.TinyTokenizer;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Models of every kind of file: all generate, and trainable ones train. */
class OpenedModelsTest {
  private static final Path RECORDED = Path.of("..", "lab", "golden");
  private static final GenerationOptions OPTIONS = GenerationOptions.of(5);

  @TempDir private Path folder;

  @Test
  void aGgufFile() {
    opensAndTrains(RECORDED.resolve("gguf/mixtral_text_f16.gguf"));
  }

  @Test
  void aFolderInHuggingFacesLayout() throws IOException {
    Path model = RECORDED.resolve("hf/olmoe_b_clip");
    try (Device device = Device.open("cpu", 1)) {
      String said =
          assertThrows(PanamoeException.BadModel.class, () -> MoeModel.open(device, model))
              .getMessage();
      assertTrue(said.contains("has no tokenizer.json"), said);
    }
    try (Stream<Path> files = Files.list(RECORDED.resolve("hf/qwen2_moe_b_dense_mix"))) {
      for (Path file : files.toList()) {
        Files.copy(file, folder.resolve(file.getFileName()));
      }
    }
    Files.writeString(folder.resolve("tokenizer.json"), tokenizer(384).toString());
    opensAndTrains(folder);
  }

  @Test
  void aRequestChoosesAnAdapter() throws IOException {
    try (Stream<Path> files = Files.list(RECORDED.resolve("hf/qwen3_moe_b_bf16"))) {
      for (Path file : files.toList()) {
        Files.copy(file, folder.resolve(file.getFileName()));
      }
    }
    Files.writeString(folder.resolve("tokenizer.json"), tokenizer(300).toString());
    Path adapters = Path.of("..", "runtime", "src", "test", "resources", "golden", "adapters");
    ModelOptions options =
        ModelOptions.USUAL
            .withAdapter("stacked", adapters.resolve("stacked"))
            .withAdapter("single", adapters.resolve("experts"));
    try (TextService service = TextService.open(folder, options, ServiceOptions.USUAL)) {
      TextRequest request = TextRequest.of("the cat", OPTIONS).withLogprobs(0);
      Set<List<Logprob>> different = new HashSet<>();
      for (String adapter : List.of("", "stacked", "single")) {
        different.add(service.submit(request.withAdapter(adapter)).join().logprobs());
      }
      assertEquals(3, different.size());
      String said =
          assertThrows(
                  PanamoeException.BadArgument.class,
                  () -> service.submit(request.withAdapter("other")).join())
              .getMessage();
      assertEquals("there is no adapter other; the model has stacked, single", said);
    }
  }

  private static void opensAndTrains(Path path) {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        MoeModel model = MoeModel.open(device, path);
        TrainableModel trainable = TrainableModel.load(device, path)) {
      assertEquals(5, model.generate("the cat", OPTIONS).tokens().size());
      MemorySegment tokens = arena.allocateFrom(ValueLayout.JAVA_INT, 3, 4, 5);
      int classes = trainable.vocabulary();
      MemorySegment logits = arena.allocate(ValueLayout.JAVA_FLOAT, 3L * classes);
      trainable.forward(tokens, logits, 1, 3);
      assertArrayEquals(
          logits.asSlice(8L * classes).toArray(ValueLayout.JAVA_FLOAT),
          model.nextLogits(3, 4, 5),
          1e-4f);
      try (ModelStep step = trainable.train(tokens, tokens, 1, 3, 1)) {
        step.backward();
        assertTrue(step.loss() > 0);
      }
    }
  }

  /** A tokenizer with the first {@code size} tokens of another one. */
  static ObjectNode tokenizer(int size) {
    ObjectNode json = TinyTokenizer.json();
    ObjectNode end = (ObjectNode) json.get("added_tokens").get(0); // the end of text
    json.putArray("added_tokens").add(end.put("id", size - 1));
    ObjectNode model = (ObjectNode) json.get("model");
    ObjectNode vocabulary = (ObjectNode) model.get("vocab");
    vocabulary.removeIf(id -> id.intValue() >= size - 1);
    ArrayNode merges = JsonNodeFactory.instance.arrayNode();
    for (JsonNode merge : model.get("merges")) {
      if (vocabulary.has(merge.stringValue().replace(" ", ""))) {
        merges.add(merge);
      }
    }
    model.set("merges", merges);
    return json;
  }
}
