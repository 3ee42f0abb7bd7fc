package panamoe.checkpoint.gguf;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/** GGUF files that were damaged on purpose, and some sound ones, with what is expected of each. */
public final class RecordedFiles {
  private static final Path FOLDER = Path.of("src/test/resources/golden/gguf/bad");

  /**
   * A file to open.
   *
   * @param why what is wrong with it
   */
  public record Case(String name, Path path, boolean accepted, String why) {
    @Override
    public String toString() {
      return name + " (" + why + ")";
    }
  }

  private RecordedFiles() {}

  public static Stream<Case> all() throws IOException {
    JsonNode index = new ObjectMapper().readTree(FOLDER.resolve("index.json").toFile());
    return StreamSupport.stream(index.get("cases").spliterator(), false)
        .map(
            it ->
                new Case(
                    it.get("name").asText(),
                    FOLDER.resolve(it.get("open").asText()),
                    it.get("expected").asText().equals("accept"),
                    it.get("why").asText()));
  }

  /** A file of that name. */
  public static Path path(String name) {
    return FOLDER.resolve(name);
  }
}
