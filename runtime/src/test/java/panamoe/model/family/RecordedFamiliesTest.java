package panamoe.model.family;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.HuggingFaceFolder;
import panamoe.checkpoint.StoredType;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.ModelConfig;
import panamoe.config.Rotary;
import panamoe.config.RotaryScaling;
import panamoe.io.ConfigJson;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Family and ConfigKeys: every recorded model is said in its family's keys again. */
class RecordedFamiliesTest {
  @TempDir private Path copy;

  private static final Path RECORDED = Path.of("..", "lab", "golden", "hf");

  static List<Path> folders() throws IOException {
    try (Stream<Path> folders = Files.list(RECORDED)) {
      return folders
          .filter(folder -> Files.exists(folder.resolve("config.json")))
          .filter(folder -> !folder.getFileName().toString().startsWith("switch"))
          .sorted()
          .toList();
    }
  }

  @ParameterizedTest
  @MethodSource("folders")
  void aModelIsSaidInTheKeysOfItsFamily(Path folder) throws IOException {
    Path file = folder.resolve("config.json");
    ObjectNode values = ConfigJson.parse(Files.readString(file), ObjectNode.class, "config.json");
    Family family = Family.named(values.get("model_type").stringValue()).orElseThrow();
    ModelConfig model = family.model(new Keys(file, values));
    assertEquals(List.of(), ConfigKeys.differences(family, model).orElseThrow());
    assertTrue(Family.of(model).isPresent());
    if (Family.of(model).orElseThrow() == family && values.has("architectures")) {
      ExportedModel exported = ExportedModel.of("it", model, Map.of(), Optional.empty(), null);
      assertEquals(
          values.get("architectures"), exported.config(StoredType.F32).get("architectures"));
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "num_attention_heads | 4 | 5 | query is 5, which 2 key/value heads do not divide; in this file the key is num_attention_heads",
        "head_dim | 16 | 9999999 | size is 9999999, expected 1 to 131072; in this file the key is head_dim",
      })
  void aValueOutOfRangeIsNamedByTheFilesKey(String key, String was, String is, String expected)
      throws IOException {
    Path config = copy.resolve("config.json");
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(RECORDED.resolve("qwen3_c").resolve(file), copy.resolve(file));
    }
    String json = Files.readString(config);
    Files.writeString(
        config, json.replace("\"%s\": %s".formatted(key, was), "\"%s\": %s".formatted(key, is)));
    HuggingFaceFolder folder = HuggingFaceFolder.of(copy).orElseThrow();
    String message =
        assertThrows(CheckpointException.class, () -> ReleasedModel.of(folder)).getMessage();
    assertEquals(config + ": " + expected, message);
  }

  /** transformers 5 has rotary positions by kind of layer, and a list of the MLPs. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "olmo3_b | rope_theta | rope_parameters | {'full_attention': {'rope_theta': 500000.0,"
            + " 'rope_type': 'default'}, 'sliding_attention': {'rope_theta': 500000.0}}",
        "glm4_moe_lite_b | first_k_dense_replace | mlp_layer_types | ['dense', 'sparse']"
      })
  void newerSpellingsAreTheSameModel(String name, String older, String newer, String value)
      throws IOException {
    ObjectNode keys = keys(name);
    ModelConfig model = model(keys);
    keys.remove(older);
    keys.set(newer, JsonMapper.shared().readTree(value.replace('\'', '"')));
    assertEquals(model, model(keys));
  }

  @Test
  void kindsOfLayersHaveTheirOwnPositions() throws IOException {
    ObjectNode keys = keys("olmo3_b");
    keys.set(
        "rope_parameters",
        JsonMapper.shared()
            .readTree(
                "{\"full_attention\": {\"rope_type\": \"linear\", \"factor\": 2.0},"
                    + " \"sliding_attention\": {\"rope_theta\": 1000.0}}"));
    List<Rotary> rotary =
        model(keys).blocks().stream().map(block -> block.attention().rotary()).toList();
    assertEquals(1000, rotary.get(0).base());
    assertNull(rotary.get(0).scaling());
    assertEquals(500_000, rotary.get(3).base());
    assertEquals(new RotaryScaling.Linear(2), rotary.get(3).scaling());
  }

  /**
   * Gemma 4's defaults: every sixth layer sees all, with heads of 512; its smaller models differ.
   */
  @Test
  void gemma4HasLayersOfTwoKindsAndRefusesItsOtherParts() throws IOException {
    ObjectNode keys = keys("gemma4_c_moe");
    ModelConfig model = model(keys);
    keys.remove("rope_parameters");
    assertEquals(model, model(keys));
    keys.put("num_hidden_layers", 7)
        .put("enable_moe_block", false)
        .put("use_bidirectional_attention", "vision")
        .remove(List.of("layer_types", "global_head_dim", "num_experts", "top_k_experts"));
    keys.remove("moe_intermediate_size");
    ModelConfig dense = model(keys);
    assertEquals(List.of(), ConfigKeys.differences(new Gemma4(), dense).orElseThrow());
    List<Integer> sizes =
        dense.blocks().stream()
            .map(block -> ((GroupedQueryConfig) block.attention()).heads().size())
            .toList();
    assertEquals(List.of(8, 8, 8, 8, 8, 512, 512), sizes); // the last sees all as well
    for (String other :
        List.of(
            "hidden_size_per_layer_input 256",
            "num_kv_shared_layers 2",
            "use_double_wide_mlp true",
            "use_bidirectional_attention all",
            "vision_config {}")) {
      String[] parts = other.split(" ");
      String value = parts[1].equals("all") ? "\"all\"" : parts[1];
      ObjectNode changed = keys.deepCopy();
      changed.set(parts[0], JsonMapper.shared().readTree(value));
      String message = assertThrows(CheckpointException.class, () -> model(changed)).getMessage();
      assertTrue(message.contains(parts[0]), message);
    }
    keys.remove("hidden_size_per_layer_input");
    String message = assertThrows(CheckpointException.class, () -> model(keys)).getMessage();
    assertTrue(message.contains("missing, which means 256"), message);
  }

  @Test
  void everyLayerHasAKindOfMlp() throws IOException {
    ObjectNode keys = keys("glm4_moe_lite_b");
    keys.putArray("mlp_layer_types").add("dense");
    String message = assertThrows(CheckpointException.class, () -> model(keys)).getMessage();
    assertTrue(message.contains("expected dense or sparse for each of the layers"), message);
  }

  @Test
  void anEmptyListOfLayersWithExpertsIsADenseModel() throws IOException {
    ObjectNode keys = keys("llama4_b");
    keys.putArray("moe_layers");
    assertEquals(List.of(0, 0, 0, 0), model(keys).experts());
  }

  /** --context may choose the other divisors of a model that was read, not another amplitude. */
  @Test
  void bothLengthsOfLongRopeHaveOneAmplitude() throws IOException {
    ObjectNode keys = keys("phimoe_b");
    ObjectNode scaling = keys.putObject("rope_scaling").put("type", "longrope");
    scaling.put("original_max_position_embeddings", 64).put("short_mscale", 1.25);
    for (String name : List.of("short_factor", "long_factor")) {
      scaling.putArray(name).add(1.0).add(1.5).add(2.0).add(2.5).add(3.0);
    }
    scaling.put("long_mscale", 1.25);
    Rotary rotary = model(keys).blocks().getFirst().attention().rotary();
    assertEquals(1.25, rotary.scaling().amplitude());
    scaling.put("long_mscale", 1.5);
    String message = assertThrows(CheckpointException.class, () -> model(keys)).getMessage();
    assertTrue(
        message.endsWith("rope_scaling.long_mscale is 1.5, expected short_mscale, which is 1.25"),
        message);
  }

  /** A key is named only if no other has the value. */
  @Test
  void aValueOfSeveralKeysIsNotNamed() {
    ObjectNode values = JsonMapper.shared().createObjectNode().put("one", 5).put("other", 5);
    Keys keys = new Keys(Path.of("config.json"), values.put("third", 6));
    List.of("one", "other", "third").forEach(keys::count);
    String message = keys.bad(new IllegalArgumentException("query is 5")).getMessage();
    assertEquals("config.json: query is 5", message);
    message = keys.bad(new IllegalArgumentException("query is 6")).getMessage();
    assertEquals("config.json: query is 6; in this file the key is third", message);
    assertEquals("config.json: null", keys.bad(new IllegalArgumentException()).getMessage());
  }

  private static ObjectNode keys(String name) throws IOException {
    String text = Files.readString(RECORDED.resolve(name).resolve("config.json"));
    return ConfigJson.parse(text, ObjectNode.class, "config.json");
  }

  private static ModelConfig model(ObjectNode values) {
    Keys keys = new Keys(Path.of("config.json"), values);
    ModelConfig model =
        Family.named(values.get("model_type").stringValue()).orElseThrow().model(keys);
    keys.requireAllRead();
    return model;
  }
}
