package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Commands in a process that may write no byte to a file, as on a full disk. */
@Tag("slow")
class FullDiskTest {
  @TempDir private Path folder;

  /** Runs each argument as a command line, and prints what the last line of its errors is. */
  static final class Commands {
    public static void main(String[] lines) {
      for (String line : lines) {
        CommandRun run = CommandRun.of(line.split(" "));
        System.out.println(run.exitCode() + " " + run.err().lines().reduce("", (a, b) -> b));
      }
    }
  }

  @Test
  void aFileThatCannotBeWrittenIsNamed() throws IOException, InterruptedException {
    String text = Files.writeString(folder.resolve("text"), "some words\n".repeat(2000)).toString();
    List<String> commands =
        List.of(
            "manual " + folder.resolve("man"),
            "tokenizer --vocabulary 260 --text " + text + " --out " + folder.resolve("words.json"),
            "data prepare --text " + text + " --out " + folder.resolve("tokens"),
            "data tasks --languages en --count 9 --out " + folder.resolve("new/tasks"),
            "plan serve 1.3B+MoE-128 --cluster dgx-a100:8 --html " + folder.resolve("plan.html"),
            "twin 1.3B+MoE-128 --cluster dgx-a100:8 --trace " + folder.resolve("twin.json"),
            "train --preset tiny --steps 1 --text " + text + " --out " + folder.resolve("run"),
            "export ../lab/golden/hf/qwen3_moe_b_bf16 --to hf --out " + folder.resolve("model"),
            "demo --steps 1 --out " + folder.resolve("new/demo"));
    List<String> line = new ArrayList<>(List.of("sh", "-c", "ulimit -f 0; exec \"$@\"", "sh"));
    line.addAll(SmallJvm.command(Commands.class, commands.toArray(String[]::new)));
    Process process =
        new ProcessBuilder(line).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    List<String> said =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
            .lines()
            .toList();
    assertEquals(0, process.waitFor());
    assertEquals(commands.size(), said.size(), said::toString);
    for (int i = 0; i < commands.size(); i++) {
      String place = commands.get(i).substring(commands.get(i).lastIndexOf(' ') + 1);
      assertTrue(
          said.get(i).matches("1 panamoe [a-z ]+: File too large: \\Q" + place + "\\E(/.*)?"),
          said.get(i));
    }
    assertTrue(Files.notExists(folder.resolve("new")));
  }
}
