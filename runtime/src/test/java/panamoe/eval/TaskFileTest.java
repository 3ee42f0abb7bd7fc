package panamoe.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.io.DataException;

class TaskFileTest {
  private static final String GOOD = "{\"kind\":\"last_word\",\"text\":\"two words\"}\n";

  @TempDir private Path folder;

  @Test
  void readsWhatItWrites() throws IOException {
    List<Task> tasks = MemorizedLines.tasks();
    List<String> lines = tasks.stream().map(TaskFile::line).toList();
    assertEquals(tasks, TaskFile.read(Files.write(folder.resolve("tasks"), lines)));
  }

  @Test
  void aByteOrderMarkIsNoPartOfTheFirstLine() throws IOException {
    assertEquals(
        1, TaskFile.read(Files.writeString(folder.resolve("tasks"), "\ufeff" + GOOD)).size());
  }

  @Test
  void splitsOffTheLastWordAndItsBlank() {
    Task.LastWord task = new Task.LastWord("one  two\n three \n");
    assertEquals("one  two", task.context());
    assertEquals("\n three", task.word());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"kind\":\"last_word\",\"text\":\"one\"}      | text is \"one\", expected at least two words",
        "{\"kind\":\"last_word\"}                       | at $.text: this key is missing",
        "{\"kind\":\"last_word\",\"text\":\"a b\",\"x\":1} | unknown key \"x\" at $.x; known here: [text]",
        "{\"kind\":\"guess\"}                           | kind is \"guess\", expected \"last_word\", \"choice\" or \"answer\"",
        "{\"kind\":\"answer\",\"context\":\"Q?\",\"answers\":[]} | answers is [], expected one string or more",
        "{\"kind\":\"answer\",\"context\":\"\",\"answers\":[\"a\"]} | context is null or empty",
        "{\"text\":\"a b\"}                             | kind is missing, expected",
        "[]                                             | expected a task as a JSON object",
        "{\"kind\":                                     | it ends too early",
        "{\"kind\":\"choice\",\"context\":\"\",\"choices\":[\"a\"],\"answer\":0} | choices is [\"a\"], expected two strings or more",
        "{\"kind\":\"choice\",\"context\":\"\",\"choices\":[\"a\",\"a\"],\"answer\":0} | choices is [\"a\", \"a\"], expected different strings",
        "{\"kind\":\"choice\",\"context\":\"\",\"choices\":[\"a\",\"\"],\"answer\":0} | none of them empty",
        "{\"kind\":\"choice\",\"context\":\"\",\"choices\":[\"a\",null],\"answer\":0} | none of them empty",
        "{\"kind\":\"choice\",\"context\":\"\",\"choices\":[\"a\",\"b\"],\"answer\":2} | answer is 2, expected 0 to 1",
        "{\"kind\":\"choice\",\"context\":\"\",\"choices\":[\"a\",\"b\"],\"answer\":\"1\"} | at $.answer: expected a whole number",
      })
  void aMalformedLineIsRefusedWithItsNumber(String line, String expected) throws IOException {
    Path file = Files.writeString(folder.resolve("tasks"), GOOD + GOOD + line + "\n");
    String refused = assertThrows(DataException.class, () -> TaskFile.read(file)).getMessage();
    assertTrue(refused.startsWith(file + ", line 3: "), refused);
    assertTrue(refused.contains(expected), refused);
    assertEquals(1, refused.lines().count(), refused);
  }

  @Test
  void aFileWithoutTasksIsRefused() throws IOException {
    Path file = Files.writeString(folder.resolve("tasks"), "");
    for (Path refused : List.of(file, folder, folder.resolve("none"), Path.of("/dev/null"))) {
      String message = assertThrows(DataException.class, () -> TaskFile.read(refused)).getMessage();
      assertTrue(message.contains(refused.toString()), message);
    }
    Path latin = Files.write(folder.resolve("latin"), new byte[] {'{', (byte) 0xe4});
    String message = assertThrows(DataException.class, () -> TaskFile.read(latin)).getMessage();
    assertEquals(latin + " is not a UTF-8 text: byte 1 is 0xe4, which is invalid there", message);
  }

  @ParameterizedTest
  @CsvSource({
    "5, 10, 0.2366, 0.7634",
    "0, 10, 0, 0.2775",
    "81, 263, 0.2553, 0.3662",
    "3, 3, 0.4385, 1"
  })
  void theIntervalIsWilsons(long correct, long tasks, double low, double high) {
    Accuracy accuracy = new Accuracy(correct, tasks);
    assertEquals(low, accuracy.low(), 1e-4);
    assertEquals(high, accuracy.high(), 1e-4);
    assertEquals((double) correct / tasks, accuracy.fraction());
    double p = accuracy.fraction();
    assertEquals(Math.sqrt(p * (1 - p) / (tasks - 1)), accuracy.error(), 1e-12);
  }
}
