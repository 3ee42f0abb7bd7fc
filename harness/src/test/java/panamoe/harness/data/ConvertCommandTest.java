package panamoe.harness.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.eval.Task;
import panamoe.eval.TaskFile;
import panamoe.harness.CommandRun;

/** Each published form, in samples written for this test. */
class ConvertCommandTest {
  private static final Path SAMPLES = Path.of("src/test/resources/tasks");

  @TempDir private Path folder;

  private CommandRun convert(String form, Path path) {
    return CommandRun.of(
        "data", "convert", form, path.toString(), "--out", folder.resolve("tasks").toString());
  }

  private List<Task> converted(String form, String file) {
    CommandRun run = convert(form, SAMPLES.resolve(file));
    assertEquals(0, run.exitCode(), run.err());
    return TaskFile.read(folder.resolve("tasks"));
  }

  @Test
  void lambada() {
    List<Task> tasks = converted("lambada", "lambada.jsonl");
    assertEquals(2, tasks.size());
    assertEquals(" tea", ((Task.LastWord) tasks.getFirst()).word());
  }

  @Test
  void piqa() {
    assertEquals(
        List.of(
            new Task.Choice(
                "Question: To keep bread fresh,\nAnswer:",
                List.of(" wrap it in a cloth.", " leave it in the rain."),
                0),
            new Task.Choice(
                "Question: How can one open a jar?\nAnswer:",
                List.of(" freeze it", " run hot water over its lid"),
                1)),
        converted("piqa", "piqa.jsonl"));
  }

  @Test
  void boolq() {
    List<Task> tasks = converted("boolq", "boolq.jsonl");
    assertEquals(
        new Task.Choice(
            "Botanists call the tomato a fruit. Cooks do not.\nQuestion: is a tomato a fruit?\nAnswer:",
            List.of(" yes", " no"),
            0),
        tasks.getFirst());
    assertEquals(1, ((Task.Choice) tasks.getLast()).answer());
  }

  @Test
  void race() {
    List<Task> tasks = converted("race", "race"); // a folder, each question of each file
    assertEquals(3, tasks.size());
    assertEquals(
        new Task.Choice(
            "The train left at six. Ida came at seven.\n_ was late.\nAnswer:",
            List.of(" Tom", " Ben", " Eve", " Ida"),
            3),
        tasks.get(1));
    assertEquals(0, ((Task.Choice) tasks.getLast()).answer());
  }

  @Test
  void triviaqa() {
    assertEquals(
        List.of(
            new Task.Answer(
                "Question: Which river flows through Vienna?\nAnswer:",
                List.of("Danube", "The Danube", "Donau")),
            new Task.Answer("Question: How many days has a week?\nAnswer:", List.of("7"))),
        converted("triviaqa", "triviaqa.json"));
  }

  @Test
  void webqs() {
    assertEquals(
        List.of(
            new Task.Answer(
                "Question: who sang the song?\nAnswer:", List.of("Ann \"Bo\" Lee", "Oslo")),
            new Task.Answer("Question: where is albany?\nAnswer:", List.of("New York (state)"))),
        converted("webqs", "webqs.json"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "lambada | {\"words\":\"a b\"}                        | text is missing, expected a string",
        "piqa    | {\"goal\":\"g\",\"sol1\":\"a\",\"sol2\":\"b\"}   | label is missing; add each line of the labels' file",
        "boolq   | {\"passage\":\"p\",\"question\":\"q\",\"answer\":\"yes\"} | answer is \"yes\", expected true or false",
        "race    | {\"article\":\"a\",\"questions\":[\"q\"],\"options\":[[\"x\",\"y\"]],\"answers\":[\"E\"]} | answer is 4, expected 0 to 1",
        "race    | {\"article\":\"a\",\"answers\":[]}            | has no task",
        "triviaqa | {\"Question\":\"q\"}                      | Data is missing, expected an array of questions",
        "webqs   | [{\"utterance\":\"q\",\"targetValue\":\"x\"}]  | expected (list (description ANSWER) ...)",
        "webqs   | [{\"utterance\":                          | is not JSON"
      })
  void anotherFormIsRefusedAndNothingWritten(String form, String json, String expected)
      throws IOException {
    Path file = Files.writeString(folder.resolve("given"), json + "\n");
    CommandRun refused = convert(form, file);
    assertEquals(1, refused.exitCode(), refused.err());
    assertTrue(refused.err().contains(file.toString()), refused.err());
    assertTrue(refused.err().contains(expected), refused.err());
    assertEquals(1, refused.err().lines().count(), refused.err());
    assertFalse(Files.exists(folder.resolve("tasks")));
  }
}
