package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every JSON file that a command reads may be something else: it is named in one sentence. */
class ForeignJsonTest {
  private static final List<String> CONTENTS =
      List.of("", "null", "[null]", "{}", "Once upon a time\n");

  /** What a person can act on. */
  private static final Pattern EXPECTED =
      Pattern.compile(
          "expected|is no tokenizer|has no|missing|is no value in JSON|is not what a training run");

  @TempDir private static Path folder;
  private static Path run;

  @BeforeAll
  static void aRun() throws IOException {
    Path text = Files.writeString(folder.resolve("text"), "one and two and three ".repeat(200));
    run = folder.resolve("run");
    CommandRun trained =
        CommandRun.of(
            ("train --preset tiny --steps 1 --text " + text + " --out " + run).split(" "));
    assertEquals(0, trained.exitCode(), trained.err());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "inspect FILE",
        "train --config FILE --text TEXT --out OUT",
        "train --preset tiny --steps 1 --tokenizer FILE --text TEXT --out OUT",
        "plan serve --config FILE --cluster dgx-a100:8",
        "plan serve 1.3B+MoE-128 --cluster FILE",
        "plan serve 1.3B+MoE-128 --cluster dgx-a100:8 --skew FILE",
        "quantize RUN --to int4 --plan FILE --out OUT",
        "eval RUN --tasks FILE",
        "replay FILE",
      })
  void aFileThatTheUserNames(String command) throws IOException {
    for (String content : CONTENTS) {
      Path file = Files.writeString(folder.resolve("file"), content);
      requireSentence(content, file, command.replace("FILE", file.toString()));
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "config.json  | train --resume --text TEXT --out RUN",
        "text.json    | train --resume --steps 2 --out RUN",
        "reading.json | train --resume --text TEXT --steps 2 --out RUN",
        "history.json | train --resume --text TEXT --steps 2 --out RUN",
      })
  void aFileOfARun(String name, String command) throws IOException {
    Path file = run.resolve(name);
    byte[] before = Files.readAllBytes(file);
    for (String content : CONTENTS) {
      Files.writeString(file, content);
      requireSentence(content, file, command);
    }
    Files.write(file, before);
  }

  private static void requireSentence(String content, Path file, String command) {
    String call =
        command
            .replace("TEXT", folder.resolve("text").toString())
            .replace("OUT", folder.resolve("out").toString())
            .replace("RUN", run.toString());
    CommandRun done = CommandRun.of(call.split(" "));
    String said = "'" + content + "', " + command + ": " + done.err();
    assertNotEquals(0, done.exitCode(), said);
    assertEquals(1, done.err().lines().count(), said);
    assertTrue(done.err().contains(file.toString()), said);
    assertTrue(EXPECTED.matcher(done.err()).find(), said);
    assertEquals("", done.out(), said);
  }
}
