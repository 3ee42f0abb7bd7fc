package panamoe.harness.embed;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import panamoe.data.Utf8;
import panamoe.io.DataException;
import panamoe.io.FileErrors;
import panamoe.io.StrictJson;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/**
 * Texts, one a line: the line itself, or JSON objects with a {@code text} and perhaps an {@code
 * id}.
 */
final class TextLines {
  /** Names the standard input. */
  static final String STANDARD_INPUT = "-";

  private TextLines() {}

  /**
   * A line.
   *
   * @param id what the object has; null without one
   */
  record Line(String text, JsonNode id) {}

  /**
   * Reads all lines. If the first begins with {@code &#123;}, all are objects.
   *
   * @throws DataException with the line, if it is empty or unlike the first; if there is no line
   */
  static List<Line> read(Path file) {
    boolean standard = file.equals(Path.of(STANDARD_INPUT));
    Path name = standard ? Path.of("the standard input") : file;
    if (Files.isDirectory(file)) {
      throw new DataException("%s is a folder, expected a file of texts", file);
    }
    byte[] bytes;
    try (InputStream input = standard ? System.in : Files.newInputStream(file)) {
      bytes = input.readAllBytes();
    } catch (IOException e) {
      throw new DataException("cannot read " + name + ": " + FileErrors.reason(e), e);
    }
    Utf8.requireText(name, 0, bytes);
    List<String> texts = new String(bytes, UTF_8).replaceFirst("^\ufeff", "").lines().toList();
    boolean objects = !texts.isEmpty() && texts.getFirst().startsWith("{");
    List<Line> lines = new ArrayList<>();
    for (String text : texts) {
      String place = name + ", line " + (lines.size() + 1);
      Line line = objects ? object(text, place) : plain(text, place);
      if (line.text().isEmpty()) {
        throw new DataException(place + ": the text is empty");
      }
      lines.add(line);
    }
    if (lines.isEmpty()) {
      throw new DataException(name + " has no text");
    }
    return lines;
  }

  private static Line plain(String line, String place) {
    if (line.startsWith("{") && isObject(line)) {
      throw new DataException(
          "%s is a JSON object with a \"text\", but the first line is plain text; write all lines alike",
          place);
    }
    return new Line(line, null);
  }

  private static boolean isObject(String line) {
    try {
      return StrictJson.tree(line.getBytes(UTF_8)).path("text").isString();
    } catch (JacksonException _) {
      return false; // a text in braces
    }
  }

  private static Line object(String line, String place) {
    try {
      JsonNode object = StrictJson.tree(line.getBytes(UTF_8));
      if (!object.path("text").isString()) {
        throw new DataException(
            "%s: expected a JSON object with a string \"text\", like the first line", place);
      }
      return new Line(object.path("text").stringValue(), object.get("id"));
    } catch (JacksonException e) {
      throw new DataException(place + " is not valid JSON: " + StrictJson.reason(e), e);
    }
  }
}
