package panamoe.model.family;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.checkpoint.CheckpointException;
import panamoe.io.ConfigJson;
import panamoe.open.ModelFolder;
import tools.jackson.databind.node.ObjectNode;

/**
 * ReleasedModel: the config.json of each recorded model with an error, which is refused by name.
 */
class WrongConfigsTest {
  private static final Path RECORDED = Path.of("..", "lab", "golden", "hf");

  @TempDir private Path changed;

  static List<Path> folders() throws IOException {
    try (Stream<Path> folders = Files.list(RECORDED)) {
      return folders
          .filter(folder -> Files.exists(folder.resolve("config.json")))
          .sorted()
          .toList();
    }
  }

  @ParameterizedTest
  @MethodSource("folders")
  void aKeyThatIsNotKnown(Path folder) throws IOException {
    refused(folder, "has scale_of_everything, which is not known here", "scale_of_everything", "2");
  }

  @ParameterizedTest
  @MethodSource("folders")
  void aModelTypeThatLies(Path folder) throws IOException {
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
        Files.copy(file, changed.resolve(file.getFileName()));
      }
    }
    Files.writeString(changed.resolve("config.json"), config(folder).put(key, value).toString());
    CheckpointException e =
        assertThrows(CheckpointException.class, () -> ModelFolder.open(changed));
    assertEquals(1, e.getMessage().lines().count(), e.getMessage());
    assertTrue(e.getMessage().contains(part), e.getMessage());
  }
}
