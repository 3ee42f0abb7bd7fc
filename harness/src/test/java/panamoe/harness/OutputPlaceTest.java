package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** All commands that write a file of the user's naming do so by one rule. */
class OutputPlaceTest {
  @TempDir private Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "plan serve 350M --cluster dgx-a100:1 --html PLACE",
        "plan train 350M --cluster dgx-a100:1 --tokens 1e11 --write-config PLACE",
        "twin --model 1.3B+MoE-128 --cluster dgx-a100:2 --trace PLACE",
        "tokenizer --text TEXT --vocabulary 260 --out PLACE",
        "train --preset tiny --steps 1 --ranks 2 --text TEXT --out RUN --trace PLACE",
        "export MODEL --to gguf --out PLACE.gguf",
        "export MODEL --to hf --out PLACE",
        "data prepare --text TEXT --out PLACE",
        "train --preset tiny --steps 1 --text TEXT --out PLACE",
      })
  void missingFoldersAreMadeAndAFileInTheirPlaceIsNamed(String command) throws Exception {
    Path text = Files.writeString(folder.resolve("text"), "one and two and three ".repeat(200));
    CommandRun refused = run(command, text, text.resolve("below/place"));
    assertEquals(1, refused.exitCode(), refused.err());
    assertEquals(1, refused.err().lines().count(), refused.err());
    assertTrue(refused.err().contains("cannot make the folder " + text), refused.err());
    assertTrue(refused.err().endsWith(": " + text + " is a file\n"), refused.err());
    assertEquals("", refused.out(), "refused before the work");
    Path below = folder.resolve("new/folder");
    CommandRun done = run(command, text, below.resolve("place"));
    assertEquals(0, done.exitCode(), done.err());
    try (var made = Files.list(below)) {
      assertEquals(1, made.count());
    }
  }

  private CommandRun run(String command, Path text, Path place) throws Exception {
    Path model = Path.of("../lab/golden/hf/deepseek_v3_a");
    return CommandRun.of(
        Arrays.stream(command.split(" "))
            .map(word -> word.replace("PLACE", place.toString()))
            .map(word -> word.equals("TEXT") ? text.toString() : word)
            .map(word -> word.equals("MODEL") ? model.toString() : word)
            .map(word -> word.equals("RUN") ? folder.resolve("run").toString() : word)
            .toArray(String[]::new));
  }
}
