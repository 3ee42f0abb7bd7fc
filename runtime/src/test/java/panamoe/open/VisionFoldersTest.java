package panamoe.open;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.CheckpointException;
import panamoe.config.ModelConfig;
import panamoe.engine.schedule.ModelRunner;
import panamoe.model.LanguageModel;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.testkit.VisionFolder;
import tools.jackson.databind.node.ObjectNode;

/** ReleasedModel: the text model of a folder whose model also sees images. */
class VisionFoldersTest {
  private static final Path RECORDED = Path.of("..", "lab", "golden", "hf");
  private static final int TOKENS = 20;

  @TempDir private Path folder;

  @ParameterizedTest
  @CsvSource({
    "gemma3_c, gemma3, false",
    "gemma3_c, gemma3, true",
    "gemma4_c_moe, gemma4, true",
    "llama4_b, llama4, false",
    "mistral_b_window, mistral3, false",
    "mistral_b_window, mistral3, true"
  })
  void theTextModelHasTheBitsOfAModelOfTextAlone(String name, String type, boolean newer)
      throws IOException {
    Path plain = RECORDED.resolve(name);
    Path whole = VisionFolder.of(plain, folder, type, newer, config -> config);
    List<String> notes = new ArrayList<>();
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel expected = ModelFolder.open(plain).load(backend, DType.FLOAT32);
        LanguageModel found = ModelFolder.open(whole).load(backend, DType.FLOAT32, notes)) {
      assertEquals(expected.config(), found.config());
      int[] text = new Random(3).ints(TOKENS, 0, expected.config().vocabulary()).toArray();
      assertArrayEquals(
          ModelRunner.nextLogits(backend, expected, text),
          ModelRunner.nextLogits(backend, found, text),
          0);
    }
    String left = ": %d tensors of encoders of images and sounds are left out";
    assertEquals(List.of(whole + left.formatted(VisionFolder.OTHERS)), notes);
  }

  private String refused(Consumer<ObjectNode> change) throws IOException {
    Path plain = RECORDED.resolve("gemma3_c");
    VisionFolder.of(
        plain,
        folder,
        "gemma3",
        true,
        config -> {
          change.accept(config);
          return config;
        });
    return refused();
  }

  private String refused() {
    WeightTypes types = WeightTypes.of(DType.FLOAT32);
    String message =
        assertThrows(
                CheckpointException.class,
                () -> {
                  ModelFolder model = ModelFolder.open(folder);
                  model.weights().require(model.config(), types, Long.MAX_VALUE, true);
                })
            .getMessage();
    assertEquals(1, message.lines().count(), message);
    return message.replace(folder.resolve("config.json") + ": ", "");
  }

  @Test
  void keysThatLieOrAreUnknownAreRefused() throws IOException {
    assertEquals(
        "text_config.model_type is mistral, expected gemma3_text, the text model of gemma3",
        refused(config -> text(config).put("model_type", "mistral")));
    assertEquals(
        "model_type is gemma4_text, expected gemma3_text, the family of Gemma3ForCausalLM",
        refused(
            config -> {
              config.put("model_type", "gemma4");
              text(config).put("model_type", "gemma4_text");
            }));
    assertEquals(
        "model_type is gemma3_text, expected one of gemma3, gemma4, llama4, mistral3, as there is"
            + " a text_config",
        refused(config -> config.put("model_type", "gemma3_text")));
    assertTrue(
        refused(config -> config.put("scale_of_everything", 2))
            .contains("has scale_of_everything"));
    assertTrue(
        refused(config -> text(config).put("scale_of_everything", 2))
            .contains("has text_config.scale_of_everything, which is not known here"));
    assertTrue(
        refused(config -> text(config).put("hidden_activation", "relu"))
            .startsWith("text_config.hidden_activation is \"relu\""));
    assertEquals(
        "text_config is missing, expected an object with the keys of gemma3_text",
        refused(config -> config.remove("text_config")));
    assertEquals(
        "tie_word_embeddings is false, expected true, as in text_config",
        refused(
            config -> {
              config.put("tie_word_embeddings", false);
              text(config).put("tie_word_embeddings", true);
            }));
  }

  private static ObjectNode text(ObjectNode config) {
    return (ObjectNode) config.get("text_config");
  }

  /** The whole's key holds for the text; Gemma 3's files leave out defaults of transformers. */
  @Test
  void theTextModelInheritsKeys() throws IOException {
    assertTrue(
        refused(config -> config.put("tie_word_embeddings", false))
            .endsWith("missing lm_head.weight"));
    VisionFolder.of(
        RECORDED.resolve("gemma3_c"),
        folder,
        "gemma3",
        false,
        config -> {
          text(config).remove(List.of("vocab_size", "max_position_embeddings", "model_type"));
          return config;
        });
    ModelConfig config = ModelFolder.open(folder).config();
    assertEquals(262_208, config.vocabulary());
    assertEquals(131_072, config.context());
  }

  @Test
  void aTensorOfNoPartIsRefusedByItsName() throws IOException {
    Path file = VisionFolder.of(RECORDED.resolve("gemma3_c"), folder, "gemma3", true, c -> c);
    Path weights = file.resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(weights);
    String text = new String(bytes, ISO_8859_1);
    Files.writeString(
        weights, text.replace("model.embed_vision.w", "model.language_mod.w"), ISO_8859_1);
    assertTrue(refused().endsWith("unexpected model.language_mod.w"), refused());
  }
}
