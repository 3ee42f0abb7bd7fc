package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.data.ByteTokenizer;

/** {@code --context}; the recorded case {@code phi3_c_longrope} has the short divisors. */
class ContextOptionTest {
  @TempDir private Path folder;

  @Test
  void aContextIsAtMostTheModels() {
    CommandRun run =
        CommandRun.of(
            "generate", "../lab/golden/hf/phi3_c_longrope", "-p", "one", "--context", "300");
    assertEquals(2, run.exitCode(), run.err());
    assertTrue(run.err().contains("context is 300, expected 1 to 256"), run.err());
  }

  @Test
  void aCompletionFillsTheContext() throws IOException {
    Path text = Files.writeString(folder.resolve("text"), "one and two and three ".repeat(300));
    Path model = folder.resolve("run");
    String train = "train --preset tiny --arch mixtral --steps 1 --vocabulary ";
    ran(train + ByteTokenizer.SIZE + " --text " + text + " --out " + model);
    String generate = "generate " + model + " -p one --temperature 0 --max-tokens 20";
    assertFalse(ran(generate).contains("the context was full"));
    assertTrue(ran(generate + " --context 8").contains("the context was full"));
  }

  private static String ran(String line) {
    CommandRun run = CommandRun.of(line.split(" "));
    assertEquals(0, run.exitCode(), run.err());
    return run.err();
  }
}
