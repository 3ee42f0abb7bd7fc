package panamoe.testkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The table of {@code docs/released-models.md} with the data that each family of released models is
 * tested with. Tests that need a family's data take it from here.
 */
public final class FamilyTable {
  /** The first cells of the table's head. */
  public static final String HEAD = "| family | logits and text |";

  /** In the columns without names: it is tested. */
  public static final String TICK = "✓";

  private static final Pattern NAME = Pattern.compile("`([^`]+)`");

  private FamilyTable() {}

  /** The columns behind the family. */
  public enum Column {
    /** Models in lab/golden/hf. */
    CASES,
    /** Models in lab/golden/hf_train. */
    TRAINING,
    /** Files in lab/golden/gguf, or cases that are exported to GGUF. */
    GGUF,
    EXPORT,
    /** Templates in lab/golden/templates. */
    CALL,
    /** Vocabularies in runtime's recorded tokenizers. */
    TOKENIZER
  }

  /**
   * A row.
   *
   * @param type the family's model_type
   */
  public record Row(String type, List<String> cells) {
    public String cell(Column column) {
      return cells.get(column.ordinal());
    }

    /** The names in a cell. */
    public List<String> names(Column column) {
      return FamilyTable.names(cell(column));
    }
  }

  /** The project's folder. */
  public static Path root() {
    return Files.exists(Path.of("../docs/released-models.md")) ? Path.of("..") : Path.of("../..");
  }

  /** The lines of the table, from its head on. */
  public static List<String> lines() {
    try (Stream<String> page = Files.lines(root().resolve("docs/released-models.md"))) {
      return page.dropWhile(line -> !line.startsWith(HEAD))
          .takeWhile(line -> line.startsWith("|"))
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public static List<Row> rows() {
    return lines().stream()
        .skip(2)
        .map(line -> Arrays.stream(line.split("\\|")).map(String::strip).toList())
        .map(cells -> new Row(names(cells.get(1)).getFirst(), cells.subList(2, cells.size())))
        .toList();
  }

  /** The models of lab/golden/hf that are exported to a folder and read back. */
  public static List<String> exported() {
    return rows().stream()
        .filter(row -> row.cell(Column.EXPORT).equals(TICK))
        .flatMap(row -> row.names(Column.CASES).stream())
        .toList();
  }

  /** The models of lab/golden/hf that are exported to GGUF and compared with libllama. */
  public static List<String> exportedToGguf() {
    return rows().stream()
        .flatMap(row -> row.names(Column.GGUF).stream().filter(row.names(Column.CASES)::contains))
        .toList();
  }

  private static List<String> names(String cell) {
    return NAME.matcher(cell).results().map((MatchResult found) -> found.group(1)).toList();
  }
}
