package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.harness.doctor.DoctorCommand;
import picocli.CommandLine;
import picocli.CommandLine.Command;

class MainTest {
  @Command(name = "fail")
  private record Failing(Throwable failure) implements Callable<Integer> {
    @Override
    public Integer call() throws Exception {
      if (failure instanceof Error error) {
        throw error;
      }
      throw (Exception) failure;
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "doctor --jsn         | panamoe doctor: Unknown option: '--jsn'; did you mean --json?",
        "docter               | panamoe: Unmatched argument: 'docter'; did you mean doctor?",
        "trian --steps 5       | panamoe: Unmatched argument: 'trian'; did you mean train? (panamoe --help",
        "train --txt x         | panamoe train: Unknown option: '--txt'; did you mean --text? (panamoe train",
        "train --txt=x --sed 1 | panamoe train: Unknown options: '--txt', '--sed'; did you mean --text? (panamoe",
        "train a b             | panamoe train: Unmatched arguments: 'a', 'b' (panamoe train --help",
        "generate a It was     | panamoe generate: Unmatched arguments: 'It', 'was'; -p TEXT gives"
            + " a prompt (panamoe",
        "generate -p x         | panamoe generate: Missing required parameter: 'MODEL' (panamoe generate --help",
        "generate a -p x -m b  | panamoe generate: MODEL is a, and --model b; give one (panamoe generate",
        "eval --threads 0      | panamoe eval: Invalid value for option '--threads': 0 is not in 1..1024",
        "eval --threads two    | panamoe eval: Invalid value for option '--threads': 'two' is not a whole number below 2^31",
        "eval --seed 1e3       | panamoe eval: Invalid value for option '--seed': '1e3' is not a whole number below 2^63",
        "generate --top-p all | panamoe generate: Invalid value for option '--top-p': 'all' is not a number",
        "eval --device gpu     | panamoe eval: Invalid value for option '--device'",
        "eval --seed           | panamoe eval: Missing required parameter for option '--seed' (S)",
        "demo --steps 0       | panamoe demo: --steps is 0, expected 1 or more",
        "inspect --memry       | panamoe inspect: Unknown option: '--memry'; did you mean --memory? (panamoe inspect",
        "export --to hf --out x --no-such-option | panamoe export: Unknown option: '--no-such-option'",
        "nosuch               | panamoe: Unmatched argument: 'nosuch' (panamoe --help",
        "help docter          | panamoe: Unmatched argument: 'docter'; did you mean doctor? (panamoe --help",
        "help train extra     | panamoe train: Unmatched argument: 'extra' (panamoe train --help",
        "help data extra      | panamoe data: Unmatched argument",
        "plan 1.3B            | panamoe plan: Unmatched argument: '1.3B'; expected one of [serve, train, paper",
        "serve                | panamoe serve: Missing required parameter: 'MODEL'",
        "serve none --reserve 2 | panamoe serve: the reserve is 2.0, expected 0 to 1",
        "generate none --temperature -1       | panamoe generate: temperature is -1.0, expected 0 to 100",
        "generate none --top-p 0              | panamoe generate: top-p is 0.0, expected more than 0",
        "generate none --top-k -1             | panamoe generate: top-k is -1, expected 0 (all) or more",
        "generate none --repetition-penalty 0 | panamoe generate: the repetition penalty is 0.0",
        "generate none --max-tokens -1        | panamoe generate: the number of tokens is -1",
      })
  void wrongUsageIsOneSentenceAndExitCode2(String commandLine, String sentence) {
    CommandRun run = CommandRun.of(commandLine.split(" "));
    assertEquals(2, run.exitCode());
    assertEquals("", run.out());
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(run.err().startsWith(sentence), run.err());
  }

  @Test
  void aPathThatTheLocaleCannotSayIsOneSentence() {
    CommandRun run = CommandRun.of("eval", "run", "--text", "a\0b"); // as ASCII refuses an umlaut
    assertEquals(2, run.exitCode());
    assertTrue(run.err().contains("'a\0b' is not a path in this locale's encoding, "), run.err());
    assertEquals(1, run.err().lines().count(), run.err());
  }

  @Test
  void nothingToDoShowsTheHelp() {
    CommandRun run = CommandRun.of();
    assertEquals(0, run.exitCode());
    assertEquals(CommandRun.of("--help").out(), run.out());
    assertEquals("", run.err());
  }

  @Test
  void helpIsOfACommandBelowAnotherToo() {
    for (String command : List.of("train", "train --help-all", "data prepare")) {
      CommandRun run = CommandRun.of(("help " + command).split(" "));
      assertEquals(0, run.exitCode());
      assertEquals(CommandRun.of((command + " --help").split(" ")).out(), run.out(), command);
    }
    assertEquals(CommandRun.of("--help").out(), CommandRun.of("help").out());
  }

  @Test
  void theCompletionScriptIsForBothShells() {
    String script = CommandRun.of("completion").out();
    assertFalse(script.isEmpty());
    Matcher commands = Pattern.compile("local commands=\"(.* train .*)\"").matcher(script);
    assertTrue(commands.find(), script);
    assertTrue(
        List.of(commands.group(1).split(" ")).containsAll(List.of("test", "build", "clean")),
        commands.group(1));
    for (String shell : List.of("bash", "zsh")) {
      assertEquals(script, CommandRun.of("completion", shell).out());
    }
  }

  @Test
  void aStartReadsTheOptionsThatItNeeds() {
    assertEquals(List.of(), Main.wanted("--version"));
    assertEquals(List.of(DoctorCommand.class), Main.wanted("doctor", "--json"));
    int all = Main.commandLine().getSubcommands().size();
    for (String first : List.of("--help", "help", "completion", "manual", "docter")) {
      assertEquals(all, Main.wanted(first).size(), first);
    }
    assertEquals(all, Main.wanted().size());
  }

  @Test
  void aModuleThatIsNotThereAddsNoCommand() {
    assertFalse(CommandRun.of("--help").out().contains("\n  bench "));
    assertEquals(2, CommandRun.of("bench", "gate").exitCode());
  }

  @Test
  void aNestedCommandsOptionsAreReadWithoutTheOthers() {
    for (String command : List.of("prepare", "tasks")) {
      CommandLine line = Main.commandLine(Main.wanted("data", command), () -> false);
      CommandRun run = CommandRun.of(line, "data", command, "--device", "nowhere");
      assertTrue(run.err().contains("'nowhere' is none of [cpu, "), run.err());
    }
  }

  @Test
  void theVersionNamesCommitLibraryAndJava() {
    List<String> lines = CommandRun.of("--version").out().lines().toList();
    assertTrue(
        lines.get(0).matches("Panamoe \\d+\\.\\d+\\.\\d+\\S*, commit ([0-9a-f]{7,}|unknown)"),
        lines.get(0));
    assertTrue(
        lines.get(1).matches("native library: (none|.*libpanamoe.so, ABI \\d+)"), lines.get(1));
    assertTrue(lines.get(2).startsWith("Java: " + Runtime.version()), lines.get(2));
  }

  @Test
  void aFailureIsOneSentenceAndExitCode1() {
    CommandRun run = failing(new NoSuchFileException("/no/such/text"));
    assertEquals(1, run.exitCode());
    assertEquals("panamoe fail: no such file or folder: /no/such/text", run.err().strip());
    assertFalse(run.err().contains("\tat "), "a stack trace was printed");
  }

  @Test
  void anErrorOfTheJvmIsOneSentenceToo() {
    CommandRun run = failing(new OutOfMemoryError("Java heap space"));
    assertEquals(1, run.exitCode());
    assertEquals("panamoe fail: out of memory: Java heap space", run.err().strip());
  }

  @Test
  void outputThatIsLostIsAFailure() {
    StringWriter err = new StringWriter();
    int exitCode =
        Main.commandLine()
            .setOut(
                new PrintWriter(
                    new OutputStreamWriter(
                        new FilterOutputStream(OutputStream.nullOutputStream()) {
                          @Override
                          public void write(byte[] bytes, int from, int count) throws IOException {
                            throw new IOException("No space left on device");
                          }
                        })))
            .setErr(new PrintWriter(err, true))
            .execute("doctor");
    assertEquals(1, exitCode);
    assertEquals(
        "panamoe doctor: cannot write to the standard output: it is closed, or its disk is full",
        err.toString().strip());
  }

  @ParameterizedTest
  @ValueSource(strings = {"doctor", "--help"})
  void anOutputThatNobodyReadsEndsACommandWithoutAWord(String command)
      throws IOException, InterruptedException {
    List<String> line =
        new ArrayList<>(
            List.of("bash", "-c", "exec 3> >(exec true); wait $!; exec \"$@\" >&3", "bash"));
    line.addAll(SmallJvm.command(Main.class, command));
    Process process = new ProcessBuilder(line).start();
    assertEquals("", new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8));
    assertEquals(141, process.waitFor());
  }

  @Test
  void aFailureBecauseNobodyReadsIsSilent() {
    CommandLine line = Main.commandLine(List.of(), () -> true);
    CommandRun run =
        CommandRun.of(line.addSubcommand(new Failing(new IOException("Broken pipe"))), "fail");
    assertEquals(141, run.exitCode());
    assertEquals("", run.err());
  }

  @Test
  void anInterruptedCommandSaysNothingItself() {
    CommandRun run = failing(new InterruptedException());
    assertEquals(130, run.exitCode());
    assertEquals("", run.err());
  }

  private static CommandRun failing(Throwable failure) {
    return CommandRun.of(Main.commandLine().addSubcommand(new Failing(failure)), "fail");
  }
}
