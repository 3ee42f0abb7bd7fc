package panamoe.eval;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import panamoe.data.Utf8;
import panamoe.io.ConfigJson;
import panamoe.io.DataException;
import panamoe.io.FileErrors;
import panamoe.io.StrictJson;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Tasks as JSON lines: a {@link Task}'s components and its {@code kind}. */
public final class TaskFile {
  private static final String EXPECTED =
      ": expected a task as a JSON object whose \"kind\" is \"last_word\", \"choice\" or \"answer\"";

  private TaskFile() {}

  /**
   * Reads all tasks of a file; task n is line n.
   *
   * @throws DataException with the line and what is wrong in it, or if the file has no task
   */
  public static List<Task> read(Path file) {
    if (Files.exists(file) && !Files.isRegularFile(file)) {
      throw new DataException("the tasks " + file + " are not in a regular file");
    }
    List<Task> tasks = new ArrayList<>();
    text(file)
        .lines()
        .forEach(line -> tasks.add(task(line, file + ", line " + (tasks.size() + 1))));
    if (tasks.isEmpty()) {
      throw new DataException(file + " has no task");
    }
    return tasks;
  }

  /** Without the byte-order mark that some editors write. */
  private static String text(Path file) {
    try {
      byte[] bytes = Files.readAllBytes(file);
      Utf8.requireText(file, 0, bytes);
      String text = new String(bytes, UTF_8);
      return text.startsWith("\ufeff") ? text.substring(1) : text;
    } catch (IOException e) {
      throw new DataException("cannot read the tasks " + file + ": " + FileErrors.reason(e), e);
    }
  }

  private static Task task(String line, String source) {
    try {
      JsonNode json = StrictJson.tree(line.getBytes(UTF_8));
      if (!(json instanceof ObjectNode object)) {
        throw new DataException(source + EXPECTED);
      }
      JsonNode kind = object.remove("kind");
      return switch (kind == null ? "" : kind.asString("")) {
        case "last_word" -> ConfigJson.read(object, Task.LastWord.class, source);
        case "choice" -> ConfigJson.read(object, Task.Choice.class, source);
        case "answer" -> ConfigJson.read(object, Task.Answer.class, source);
        default ->
            throw new DataException(
                "%s: kind is %s, expected \"last_word\", \"choice\" or \"answer\"",
                source, kind == null ? "missing" : kind);
      };
    } catch (JacksonException e) {
      throw new DataException(source + EXPECTED + ", but " + StrictJson.reason(e), e);
    } catch (IllegalArgumentException e) {
      throw new DataException(e.getMessage(), e);
    }
  }

  /** A task as a line of a file, without the line break. */
  public static String line(Task task) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("kind", task.kind().name().toLowerCase(Locale.ROOT));
    json.setAll((ObjectNode) ConfigJson.tree((Record) task));
    return json.toString();
  }
}
