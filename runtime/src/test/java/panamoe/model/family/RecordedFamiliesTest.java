package panamoe.model.family;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredType;
import panamoe.config.ModelConfig;
import panamoe.io.ConfigJson;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;
import tools.jackson.databind.node.ObjectNode;

/** Family and ConfigKeys: every recorded model is said in its family's keys again. */
class RecordedFamiliesTest {
  private static final Path RECORDED = Path.of("..", "lab", "golden", "hf");

  @TempDir private Path changed;

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
    ObjectNode values = config(folder);
    Family family = Family.named(values.get("model_type").stringValue()).orElseThrow();
    ModelConfig model = family.model(new Keys(file, values));
    assertEquals(List.of(), ConfigKeys.differences(family, model).orElseThrow());
    assertTrue(Family.of(model).isPresent());
    if (Family.of(model).orElseThrow() == family && values.has("architectures")) {
      ExportedModel exported = ExportedModel.of("it", model, Map.of(), Optional.empty());
      assertEquals(
          values.get("architectures"), exported.config(StoredType.F32).get("architectures"));
    }
  }

  static List<Path> all() throws IOException {
    try (Stream<Path> folders = Files.list(RECORDED)) {
      return folders.filter(folder -> Files.exists(folder.resolve("config.json"))).sorted().toList();
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void aKeyThatIsNotKnownIsRefused(Path folder) throws IOException {
    refused(folder, "has scale_of_everything, which is not known here", "scale_of_everything", "2");
  }

  @ParameterizedTest
  @MethodSource("all")
  void anotherModelTypeIsRefused(Path folder) throws IOException {
    ObjectNode values = config(folder);
    String own = values.get("model_type").stringValue();
    String said = "expected " + own + ", the family of " + values.at("/architectures/0").asString();
    refused(folder, said, "model_type", own.equals("llama") ? "qwen3" : "llama");
  }

  private static ObjectNode config(Path folder) throws IOException {
    Path file = folder.resolve("config.json");
    return ConfigJson.parse(Files.readString(file), ObjectNode.class, "config.json");
  }

  private void refused(Path folder, String part, String key, String value) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.copy(
            file, changed.resolve(file.getFileName()), StandardCopyOption.REPLACE_EXISTING);
      }
    }
    Files.writeString(
        changed.resolve("config.json"), config(folder).put(key, value).toString());
    try (Backend backend = new ReferenceBackend()) {
      CheckpointException e =
          assertThrows(
              CheckpointException.class,
              () -> ModelFolder.open(changed).load(backend, DType.FLOAT32).close());
      assertEquals(1, e.getMessage().lines().count(), e.getMessage());
      assertTrue(e.getMessage().contains(part), e.getMessage());
    }
  }
}
