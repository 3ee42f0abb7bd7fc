package panamoe.eval;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import panamoe.data.DataException;
import panamoe.io.ConfigJson;
import panamoe.io.FileTrouble;
import panamoe.io.StrictJson;

/** Tasks as JSON, one object a line: a {@link Task}'s components and its {@code kind}. */
public final class TaskFile {
  private TaskFile() {}

  /**
   * Reads all tasks of a file; task n stands on line n.
   *
   * @throws DataException with the line and what is wrong in it, or if the file has no task
   */
  public static List<Task> read(Path file) {
    if (Files.exists(file) && !Files.isRegularFile(file)) {
      throw new DataException("the tasks " + file + " are not in a regular file");
    }
    List<Task> tasks = new ArrayList<>();
    try (BufferedReader lines = Files.newBufferedReader(file)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        tasks.add(task(line, file + ", line " + (tasks.size() + 1)));
      }
    } catch (IOException | UncheckedIOException e) {
      IOException cause =
          e instanceof UncheckedIOException unchecked ? unchecked.getCause() : (IOException) e;
      throw new DataException(
          "cannot read the tasks " + file + ": " + FileTrouble.reason(cause), cause);
    }
    if (tasks.isEmpty()) {
      throw new DataException(file + " has no task");
    }
    return tasks;
  }

  private static Task task(String line, String source) {
    try {
      JsonNode json = StrictJson.tree(line.getBytes(UTF_8));
      if (!(json instanceof ObjectNode object)) {
        throw new DataException(source + ": expected a task as a JSON object");
      }
      JsonNode kind = object.remove("kind");
      return switch (kind == null ? "" : kind.asText()) {
        case "last_word" -> ConfigJson.read(object, Task.LastWord.class, source);
        case "choice" -> ConfigJson.read(object, Task.Choice.class, source);
        default ->
            throw new DataException(
                source + ": kind is " + kind + ", expected \"last_word\" or \"choice\"");
      };
    } catch (IOException e) {
      throw new DataException(source + ": " + StrictJson.reason(e), e);
    } catch (IllegalArgumentException e) {
      throw new DataException(e.getMessage(), e);
    }
  }

  /** A task as a line of a file, without the line's end. */
  public static String line(Task task) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("kind", task.kind().name().toLowerCase(Locale.ROOT));
    json.setAll((ObjectNode) ConfigJson.tree((Record) task));
    return json.toString();
  }
}
