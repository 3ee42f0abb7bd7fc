package panamoe.model.family;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.checkpoint.StoredType;
import panamoe.config.ModelConfig;
import panamoe.io.ConfigJson;
import tools.jackson.databind.node.ObjectNode;

/** Family and ConfigKeys: every recorded model is said in its family's keys again. */
class RecordedFamiliesTest {
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
      ExportedModel exported = ExportedModel.of("it", model, Map.of(), Optional.empty());
      assertEquals(
          values.get("architectures"), exported.config(StoredType.F32).get("architectures"));
    }
  }
}
