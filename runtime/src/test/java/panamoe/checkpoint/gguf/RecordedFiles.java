package panamoe.checkpoint.gguf;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * GGUF files that were damaged on purpose, and some sound ones, with what is expected of each. They
 * differ by a few bytes, so a stored zip file of them is compressed as a whole: 30 KB in the place
 * of 1.2 MB.
 */
public final class RecordedFiles {
  private static final Path RECORDED = Path.of("src/test/resources/golden/gguf");

  private static final Path FOLDER = unpacked();

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

  private static Path unpacked() {
    try (InputStream packed = Files.newInputStream(RECORDED.resolve("bad.zip.gz"));
        ZipInputStream files = new ZipInputStream(new GZIPInputStream(packed))) {
      Path folder = Files.createTempDirectory("gguf");
      folder.toFile().deleteOnExit();
      for (ZipEntry entry = files.getNextEntry(); entry != null; entry = files.getNextEntry()) {
        Path file = folder.resolve(entry.getName());
        Files.copy(files, file);
        file.toFile().deleteOnExit();
      }
      return folder;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public static Stream<Case> all() throws IOException {
    JsonNode index = JsonMapper.shared().readTree(RECORDED.resolve("bad.json").toFile());
    return StreamSupport.stream(index.get("cases").spliterator(), false)
        .map(
            it ->
                new Case(
                    it.get("name").asString(),
                    FOLDER.resolve(it.get("open").asString()),
                    it.get("expected").asString().equals("accept"),
                    it.get("why").asString()));
  }

  /** A file of that name. */
  public static Path path(String name) {
    return FOLDER.resolve(name);
  }
}
