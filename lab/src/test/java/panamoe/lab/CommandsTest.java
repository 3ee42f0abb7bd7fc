package panamoe.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.harness.CommandRun;
import panamoe.harness.HelpCommand;
import panamoe.harness.Main;
import picocli.CommandLine;

/** All commands of a checkout: the harness's and this module's. */
class CommandsTest {
  @Test
  void theLauncherKnowsTheHelp() throws IOException {
    CommandLine commandLine = Main.commandLine().setUsageHelpAutoWidth(false).setUsageHelpWidth(80);
    String help = CommandRun.of(commandLine, "--help").out();
    Path copy = Files.writeString(Path.of("target", "help.txt"), help);
    assertEquals(
        Files.readString(Path.of("help.txt")),
        help,
        "the launcher reads lab/help.txt: copy " + copy + " over it");
  }

  @Test
  void everyCommandHasHelpWithExamplesAndTheSharedOptionsThatItTakes() {
    requireHelp(Main.commandLine(), List.of());
  }

  private static void requireHelp(CommandLine command, List<String> words) {
    if (command.getCommand() instanceof HelpCommand) {
      return;
    }
    command
        .getSubcommands()
        .forEach(
            (name, inner) ->
                requireHelp(inner, Stream.concat(words.stream(), Stream.of(name)).toList()));
    if (!command.getSubcommands().isEmpty()) {
      return;
    }
    String name = String.join(" ", words);
    CommandRun run = CommandRun.of((name + " --help").split(" "));
    assertEquals(0, run.exitCode(), name);
    assertTrue(run.out().contains("  panamoe " + name), name + " shows no example");
    if (!command.getMixins().containsKey("shared")) {
      return; // It computes nothing.
    }
    for (String option : new String[] {"--device", "--threads", "--seed"}) {
      assertTrue(run.out().contains(option), name + " does not take " + option);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "train",
        "distill",
        "tokenizer",
        "edit",
        "quantize",
        "generate",
        "chat",
        "serve",
        "replay",
        "eval",
        "export",
        "inspect",
        "conformance",
        "twin",
        "manual",
        "data prepare",
        "data tasks",
        "plan serve",
        "plan train",
      })
  void theUsageShowsWhatIsRequired(String name) {
    String usage = CommandRun.of((name + " --help").split(" ")).out().lines().findFirst().get();
    assertTrue(usage.startsWith("Usage: panamoe " + name + " [OPTIONS] "), usage);
    String asked = CommandRun.of(name.split(" ")).err();
    assertTrue(asked.contains(": Missing required "), asked);
    Matcher names = Pattern.compile("'<?([^'>]+)>?'").matcher(asked);
    while (names.find()) {
      assertTrue(
          (usage.replace("...", "") + " ").contains(" " + names.group(1) + " "),
          usage + ", but: " + asked);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "conf                  | conformance",
        "help insp             | inspect",
        "train --expert-s      | --expert-slices",
        "generate --mo         | --moe-stats", // --model is an old name
        "generate --device ''  | cpu cuda simt reference auto",
        "generate --dtype ''   | f32 bf16",
        "generate --kv ''      | dtype int8",
        "train --arch ''       | dense moe pyramid residual pr-moe deepseek mixtral",
        "export --to g         | gguf",
        "bench prefi           | prefill",
      })
  void theCompletionOffersWhatCanBeTyped(String typed, String offered, @TempDir Path folder)
      throws IOException, InterruptedException {
    Path script = Files.writeString(folder.resolve("script"), CommandRun.of("completion").out());
    String complete =
        "source %s; compopt() { :; }; COMP_WORDS=(panamoe %s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1));"
            + " _complete_panamoe; echo ${COMPREPLY[@]}";
    Process bash =
        new ProcessBuilder("bash", "-c", complete.formatted(script, typed))
            .redirectErrorStream(true)
            .start();
    assertEquals(
        offered, new String(bash.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip());
    assertEquals(0, bash.waitFor());
  }
}
