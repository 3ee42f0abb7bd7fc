package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.data.JsonTokenizer;
import panamoe.harness.CommandRun;
import panamoe.harness.ShellWord;
import panamoe.harness.report.RoutedText;
import panamoe.harness.report.RunDirectory;
import panamoe.harness.report.TokenRoutes;
import panamoe.train.RunConfig;
import panamoe.train.TrainingProcess;

/**
 * {@code train}, {@code inspect} and {@code generate} as a user runs them, on a text of a few
 * kilobytes.
 */
class TrainCommandTest {
  @TempDir private Path folder;
  private Path text;

  @BeforeEach
  void writeText() throws IOException {
    String line = "The committee thanks the members for the vote.\n";
    text = Files.writeString(folder.resolve("text.txt"), line.repeat(400));
  }

  @Test
  void trainsInspectsAndWrites() throws IOException {
    Path run = folder.resolve("run");
    CommandRun trained = train(run, "--steps", "30");
    assertEquals(0, trained.exitCode(), trained.err());
    assertTrue(trained.out().contains("trained 30 steps"), trained.out());
    List<String> metrics = Files.readAllLines(run.resolve("metrics.jsonl"));
    assertEquals(30, metrics.size());
    for (String key :
        List.of("step", "loss", "bits_per_byte", "aux_loss", "tokens_per_s", "router_entropy")) {
      assertTrue(metrics.getLast().contains('"' + key + '"'), metrics.getLast());
    }
    String report = Files.readString(run.resolve("report.html"));
    assertTrue(report.contains("<svg") && report.contains("id=\"routes\""));
    List<TrainingProcess> history = RunDirectory.read(run).history();
    assertEquals(1, history.size());
    assertTrue(history.getFirst().command().startsWith("panamoe train --"), report);
    RoutedText read = RunDirectory.read(run).reading().getFirst();
    assertEquals(read.text(), String.join("", read.routes().pieces()));
    assertTrue(read.text().length() > 20, read.text());
    for (TokenRoutes.Layer layer : read.routes().layers()) {
      for (int token = 0; token < layer.expert().length; token++) {
        assertTrue(
            Arrays.stream(layer.expert()[token]).allMatch(e -> 0 <= e && e < layer.experts()));
        assertTrue(
            layer.weight()[token][0] >= layer.weight()[token][1], "the best expert is first");
      }
    }

    assertTrue(CommandRun.of("inspect", run.toString()).out().contains("2 layers of width 64"));
    CommandRun inspected = CommandRun.of("inspect", run.toString(), "--verify", "--memory");
    assertEquals(0, inspected.exitCode(), inspected.err());
    assertTrue(inspected.out().contains("all files agree"), inspected.out());
    assertTrue(inspected.out().contains(" FLOPs and "), inspected.out());
    CommandRun table = CommandRun.of("inspect", run.toString(), "--json");
    assertTrue(table.out().contains("\"bytes_per_decoded_token\""), table.out());

    String[] generate = {
      "generate", "--model", run.toString(), "--prompt", "The ", "--max-tokens", "12", "--seed", "3"
    };
    CommandRun written = CommandRun.of(generate);
    assertEquals(0, written.exitCode(), written.err());
    assertTrue(written.out().length() > 4, written.out());
    assertEquals(written.out(), CommandRun.of(generate).out());
    String slid = "(the context was full: the completion went on from the later half of it)";
    assertFalse(written.err().contains(slid), written.err());
    CommandRun beyond =
        CommandRun.of("generate", "-m", run.toString(), "-p", "The ", "-n", "140", "--seed", "3");
    assertTrue(beyond.err().contains(slid), beyond.err());
    Path prompt = Files.writeString(folder.resolve("prompt.txt"), "The \n");
    String[] fromFile = {
      "generate", "-m", run.toString(), "-f", prompt.toString(), "-n", "12", "--seed", "3"
    };
    assertEquals(written.out(), CommandRun.of(fromFile).out());
    InputStream input = System.in;
    try {
      System.setIn(Files.newInputStream(prompt));
      fromFile[4] = "-";
      assertEquals(written.out(), CommandRun.of(fromFile).out());
    } finally {
      System.setIn(input);
    }
    Files.write(prompt, new byte[] {'a', (byte) 0xff});
    fromFile[4] = prompt.toString();
    assertRefused(1, prompt + " is not a UTF-8 text: byte 1 is 0xff", fromFile);
    fromFile[5] = "-p";
    assertRefused(2, "--prompt and --prompt-file are two prompts; give one", fromFile);
    String[] routes = Arrays.copyOf(generate, generate.length + 1);
    routes[generate.length] = "--moe-stats";
    CommandRun routed = CommandRun.of(routes);
    assertEquals(written.out(), routed.out());
    assertTrue(routed.err().contains(" experts, 1 for each token; entropy "), routed.err());
  }

  @ParameterizedTest
  @ValueSource(strings = {"pr-moe", "deepseek"})
  void aRunStoppedHalfwayAndResumedWritesTheSameCheckpoint(String architecture) throws IOException {
    Path whole = folder.resolve("whole");
    assertEquals(0, train(whole, "--steps", "12", "--arch", architecture).exitCode());

    // A copy of the run with only its middle checkpoint.
    Path halves = folder.resolve("halves");
    String config = Files.readString(whole.resolve("config.json"));
    Path more = folder.resolve("halves.json");
    Files.writeString(
        more, config.replaceAll("\"checkpointEvery\" : \\d+", "\"checkpointEvery\" : 6"));
    CommandRun first =
        CommandRun.of(
            "train",
            "--config",
            more.toString(),
            "--text",
            text.toString(),
            "--out",
            halves.toString());
    assertEquals(0, first.exitCode(), first.err());
    byte[] expected = weights(halves);
    delete(halves.resolve("checkpoints/step-00000012"));
    Files.writeString(halves.resolve("checkpoints/latest"), "step-00000006\n");

    CommandRun resumed = CommandRun.of("train", "--out", halves.toString(), "--resume");
    assertEquals(0, resumed.exitCode(), resumed.err());
    assertTrue(resumed.err().contains("after step 6"), resumed.err());
    assertEquals(
        "panamoe train --out " + ShellWord.quoted(halves.toString()) + " --resume",
        RunDirectory.read(halves).history().get(1).command());
    assertArrayEquals(expected, weights(halves));
    assertArrayEquals(expected, weights(whole));
    assertEquals(12, Files.readAllLines(halves.resolve("metrics.jsonl")).size());
  }

  @Test
  void aFinishedRunSaysSoAndIsTrainedFurtherWhenAsked() throws IOException {
    String run = folder.resolve("run").toString();
    assertEquals(0, train(Path.of(run), "--steps", "4").exitCode());
    Files.delete(text); // a finished run needs none
    CommandRun finished = CommandRun.of("train", "--out", run, "--resume");
    assertEquals(0, finished.exitCode(), finished.err());
    assertTrue(
        finished.out().startsWith("already complete: 4 steps on 2,048 tokens; "), finished.out());
    assertTrue(
        finished.out().contains("panamoe train --out " + run + " --resume --steps 8"),
        finished.out());

    writeText();
    assertRefused(
        2,
        "the run in " + run + " has done 4 already",
        "train",
        "--out",
        run,
        "--resume",
        "--steps",
        "3");
    CommandRun further = CommandRun.of("train", "--out", run, "--resume", "--steps", "6");
    assertEquals(0, further.exitCode(), further.err());
    assertTrue(further.out().startsWith("trained steps 5 to 6 on 1,024 tokens in "), further.out());
    assertEquals(6, Files.readAllLines(Path.of(run, "metrics.jsonl")).size());
    assertTrue(
        CommandRun.of("train", "--out", run, "--resume")
            .out()
            .startsWith("already complete: 6 steps "));
  }

  @Test
  void aFinishedRunWithADamagedModelIsNotSaidToBeComplete() throws IOException {
    Path run = folder.resolve("run");
    assertEquals(0, train(run, "--steps", "4").exitCode());
    String expected =
        damagedModel(run.resolve("checkpoints/step-00000004")) + " was changed since it was saved";
    assertRefused(1, expected, "train", "--out", run.toString(), "--resume");
  }

  @Test
  void optionsReplaceAPresetsSettings() throws IOException {
    Path run = folder.resolve("run");
    CommandRun trained =
        train(
            run,
            "--steps",
            "1",
            "--lr",
            "0.005",
            "--batch",
            "2",
            "--context",
            "130",
            "--experts",
            "6");
    assertEquals(0, trained.exitCode(), trained.err());
    RunConfig config = RunConfig.read(run.resolve("config.json"));
    assertEquals(0.005, config.training().schedule().learningRate());
    assertEquals(0.0005, config.training().schedule().finalLearningRate());
    assertEquals(2, config.training().batch().sequences());
    assertEquals(130, config.training().batch().length());
    assertEquals(130, config.model().context());
    assertEquals("[0, 12]", config.model().experts().toString());
    assertRefused(
        2,
        "of which only --steps may change; leave out --experts, --lr, --batch, --context (",
        ("train --out " + run + " --resume --lr 1 --batch 1 --context 1 --experts 1").split(" "));
  }

  @Test
  void aRunThatWasKilledBeforeItsFirstCheckpointStartsAgainAndSaysSo() throws IOException {
    Path run = folder.resolve("run");
    assertEquals(0, train(run, "--steps", "12").exitCode());
    byte[] expected = weights(run);
    forgetCheckpoints(run);
    assertRefused(
        2, "leave out --seed", "train", "--out", run.toString(), "--resume", "--seed", "9");
    CommandRun again = CommandRun.of("train", "--out", run.toString(), "--resume");
    assertEquals(0, again.exitCode(), again.err());
    assertTrue(again.err().contains("the run has no checkpoint"), again.err());
    assertArrayEquals(expected, weights(run));
  }

  @Test
  void aRunWhoseCheckpointsAreMissingIsNotStartedAgain() throws IOException {
    Path run = folder.resolve("run");
    Path config = TinyRun.config(folder, 5);
    assertEquals(
        0,
        CommandRun.of(
                "train",
                "--config",
                config.toString(),
                "--text",
                text.toString(),
                "--out",
                run.toString())
            .exitCode());
    String before = Files.readString(run.resolve("metrics.jsonl"));
    String[] resume = {"train", "--out", run.toString(), "--resume", "--steps", "9"};
    String expected =
        "the checkpoints of the run in "
            + run
            + " are missing: its metrics.jsonl ends at step 5, but "
            + run.resolve("checkpoints")
            + " holds none; put them back, or start a new run in another --out";

    forgetCheckpoints(run); // its metrics end at step 2
    assertRefused(1, expected, resume);
    Files.writeString(
        run.resolve("config.json"), Files.readString(config).replaceAll("(Every\" : )\\d+", "$10"));
    Files.createDirectory(run.resolve("plots")); // which is written after the last checkpoint
    assertRefused(1, expected, resume);
    Files.delete(run.resolve("plots"));
    Path latest =
        Files.createFile(run.resolve("checkpoints/latest")); // it names an existing checkpoint
    assertRefused(1, expected, resume);
    Files.delete(latest);
    Files.delete(run.resolve("checkpoints"));
    assertRefused(1, expected, resume);
    assertEquals(before, Files.readString(run.resolve("metrics.jsonl")));
    assertFalse(Files.readString(run.resolve("config.json")).contains("\"steps\" : 9"));
  }

  @Test
  void resumesOnItsOwnTextOnly() throws IOException {
    Path run = folder.resolve("run");
    assertEquals(0, train(run, "--steps", "2").exitCode());
    forgetCheckpoints(run);
    Path other =
        Files.writeString(
            folder.resolve("other.txt"), Files.readString(text).toUpperCase(Locale.ROOT));
    assertRefused(
        1,
        "was started on another text",
        "train",
        "--out",
        run.toString(),
        "--resume",
        "--text",
        other.toString());

    Path moved = Files.move(text, folder.resolve("moved.txt"));
    assertRefused(
        1, "the run's text is no longer at " + text, "train", "--out", run.toString(), "--resume");
    CommandRun there =
        CommandRun.of("train", "--out", run.toString(), "--resume", "--text", moved.toString());
    assertEquals(0, there.exitCode(), there.err());
    forgetCheckpoints(run);
    assertEquals(0, CommandRun.of("train", "--out", run.toString(), "--resume").exitCode());

    forgetCheckpoints(run);
    Files.writeString(moved, "another\n", StandardOpenOption.APPEND);
    assertRefused(
        1, moved + " has changed since the run", "train", "--out", run.toString(), "--resume");
    Files.delete(run.resolve("text.json"));
    assertRefused(
        1,
        run.resolve("text.json")
            + ", which says what text the run was started on, is missing; put it back, or start",
        "train",
        "--out",
        run.toString(),
        "--resume",
        "--text",
        moved.toString());
  }

  @Test
  void aConfigThatIsNotItsCheckpointsIsRefusedBeforeThereIsAModel() throws IOException {
    Path run = folder.resolve("run");
    assertEquals(0, train(run, "--steps", "2").exitCode());
    Path config = run.resolve("config.json");
    Files.writeString(
        config, Files.readString(config).replace("\"hidden\" : 64", "\"hidden\" : 128"));
    CommandRun refused =
        CommandRun.of("train", "--out", run.toString(), "--resume", "--steps", "3");
    assertEquals(1, refused.exitCode(), refused.toString());
    assertTrue(
        refused.err().contains("step-00000002 was trained with another configuration"),
        refused.err());
    assertTrue(refused.err().contains("(model.hidden was 64, is 128)"), refused.err());
    assertFalse(refused.err().contains("model: "), refused.err());
    assertTrue(
        Files.readString(config).contains("\"steps\" : 2"),
        "a refused run's config is left as it was");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " --ranks 2"})
  void aFinishedRunWhoseConfigWasChangedIsRefused(String ranks) throws IOException {
    Path run = folder.resolve("run");
    assertEquals(0, train(run, "--steps", "4").exitCode());
    Path config = run.resolve("config.json");
    String trained = Files.readString(config);
    String[] resume = ("train --resume --out " + run + ranks).split(" ");
    assertEquals(0, CommandRun.of(resume).exitCode());

    Files.writeString(config, trained.replace("\"batch\" : 8", "\"batch\" : 16"));
    assertRefused(
        1,
        "step-00000004 was trained with another configuration (training.batch was 8, is 16); to go on, put back its "
            + "own, the config.json in it",
        resume);
    Files.writeString(config, trained.replace("\"steps\" : 4", "\"steps\" : 3"));
    assertRefused(
        1,
        "training.steps in "
            + config
            + " is 3, but the run in "
            + run
            + " has done 4 already; set it to 4 or more",
        resume);
  }

  @Test
  void trainsATokenizerOnItsTextAndGoesOnWithIt() throws IOException {
    Path run = folder.resolve("run");
    CommandRun trained = train(run, "--steps", "2", "--vocabulary", "270");
    assertEquals(0, trained.exitCode(), trained.err());
    byte[] kept = Files.readAllBytes(run.resolve("tokenizer.json"));
    JsonTokenizer tokenizer = JsonTokenizer.of(kept, "tokenizer.json");
    assertEquals(270, tokenizer.vocabularySize());
    assertTrue(Files.readString(run.resolve("config.json")).contains("\"vocabulary\" : 270"));
    CommandRun written =
        CommandRun.of("generate", "--model", run.toString(), "--prompt", "The ", "--json");
    assertEquals(0, written.exitCode(), written.err());

    CommandRun resumed =
        CommandRun.of("train", "--out", run.toString(), "--resume", "--steps", "3");
    assertEquals(0, resumed.exitCode(), resumed.err());
    assertArrayEquals(kept, Files.readAllBytes(run.resolve("tokenizer.json")));

    Path other = folder.resolve("other");
    String[] config = {
      "train", "--config", run.resolve("config.json").toString(), "--text", text.toString()
    };
    String[] wrong = {"--vocabulary", "271", "--out", other.toString()};
    assertRefused(2, "--vocabulary is 271, but model.vocabulary in ", with(config, wrong));
    CommandRun tooMany = train(other, "--vocabulary", "5000");
    assertEquals(1, tooMany.exitCode());
    assertTrue(
        tooMany.err().contains(" at most, fewer than the vocabulary of 5000"), tooMany.err());
    assertFalse(Files.exists(other));
  }

  @Test
  void configurationsOfThePagesAreRead() throws IOException {
    for (String name : new String[] {"dense", "pr-moe"}) {
      String config = Path.of("../docs/results/quality", name + ".json").toString();
      String text = Path.of("../README.md").toString();
      String run = folder.resolve(name).toString();
      CommandRun explained =
          CommandRun.of(
              "train", "--config", config, "--text", text, "--out", run, "--explain-topology");
      assertEquals(0, explained.exitCode(), explained.err());
    }
  }

  @Test
  void remembersTheDefaultCorpus() throws IOException {
    String run = folder.resolve("run").toString();
    CommandRun begun =
        CommandRun.of("train", "--preset", "tiny", "--arch", "dense", "--steps", "2", "--out", run);
    assertEquals(0, begun.exitCode(), begun.err());
    CommandRun resumed = CommandRun.of("train", "--out", run, "--resume", "--steps", "3");
    assertEquals(0, resumed.exitCode(), resumed.err());
    assertTrue(
        resumed.err().contains("Europarl") && resumed.err().contains("after step 2"),
        resumed.err());
  }

  private static void assertRefused(int exitCode, String expected, String... line) {
    CommandRun refused = CommandRun.of(line);
    assertEquals(exitCode, refused.exitCode(), refused.toString());
    assertTrue(refused.err().contains(expected), refused.err());
    assertEquals(1, refused.err().lines().count(), refused.err());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "2 | --languages en,xx | no language 'xx'",
        "2 | --languages en --text TEXT | does not go with --text",
        "1 | --text FOLDER/none.txt | none.txt",
        "2 | --text TEXT --steps 0 | --steps is 0",
        "2 | --text TEXT --arch sparse | 'sparse' is none of [dense, moe, pyramid, residual, pr-moe, deepseek, mixtral]",
        "2 | --text TEXT --threads -1 | threads",
        "2 | --text TEXT --config FOLDER/none.json | --config holds every setting; leave out --preset (",
        "2 | --text TEXT --config FOLDER/none.json --lr 1 | leave out --preset, --lr (",
        "2 | --text TEXT --lr 0 | --lr is 0.0, expected more than 0 and less than 10",
        "2 | --text TEXT --batch 0 | --batch is 0, expected 1 or more",
        "2 | --text TEXT --context -1 | --context is -1, expected 1 or more",
        "2 | --text TEXT --experts 0 | --experts is 0, expected 1 to 1024",
        "2 | --text TEXT --experts 2147483647 | --experts is 2147483647, expected 1 to 1024",
        "2 | --text TEXT --experts 4 --arch dense | dense has no MoE layer",
        "2 | --text TEXT --timeout 0 | --timeout is 0 s",
        "2 | --text TEXT --dtype f64 | 'f64' is none of [f32, bf16]",
        "1 | --text TEXT --resume | there is no run to resume",
        "2 | --text= | the path is empty",
        "2 | --text TEXT --tokenizer= | the path is empty",
        "1 | --text TEXT --tokenizer /dev/zero | /dev/zero is not a regular file",
        "2 | --text TEXT --vocabulary 256 | the vocabulary is 256, expected 258",
        "2 | --text TEXT --vocabulary 300 --tokenizer t.json | does not go with --tokenizer",
        "1 | --preset small --vocabulary 257 --text FOLDER/short.txt | a sequence of 256 needs 257",
      })
  void aBadChoiceIsOneSentenceAndLeavesNoFolder(int exitCode, String options, String expected)
      throws IOException {
    Files.writeString(folder.resolve("short.txt"), "too short\n".repeat(13));
    Path run = folder.resolve("run");
    String line = "train --preset tiny --out " + run + " " + options;
    if (options.contains("--resume") || options.contains("--preset")) {
      line = line.replace("--preset tiny ", "");
    }
    String[] words =
        line.replace("TEXT", text.toString()).replace("FOLDER", folder.toString()).split(" ");
    assertRefused(exitCode, expected, words);
    assertFalse(Files.exists(run));
  }

  @Test
  void aTextTooShortForTheDefaultVocabularyNamesTheOption() {
    Path run = folder.resolve("run");
    CommandRun refused =
        CommandRun.of(
            "train", "--preset", "small", "--text", text.toString(), "--out", run.toString());
    assertEquals(1, refused.exitCode(), refused.err());
    assertTrue(refused.err().contains("by --vocabulary (257 works on bytes)"), refused.err());
    assertFalse(Files.exists(run));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"blocks\" : \\[[\\s\\S]*\\] | \"blocks\" : [LAYERS] | at $.model.blocks[0]: expected an object",
        "\"hidden\" : \\d+ | \"hidden\" : 2147483647 | hidden is 2147483647, expected 1 to 131072",
        "\"hidden\" : \\d+([\\s\\S]*?)\"inner\" : \\d+ | \"hidden\" : 131072$1\"inner\" : 131072 | choose a smaller model",
        "\"batch\" : \\d+ | \"batch\" : 2147483647 | a smaller batch, more microBatches or recompute take less",
        "\"blocks\" : \\[[\\s\\S]*\\] | \"blocks\" : 8 | at $.model.blocks: expected an array",
        "\"deviation\" : [0-9.E-]+ | \"deviation\" : 1e300 | is 1.0E300, expected a positive float32",
        "(\"MOE\"[\\s\\S]*?)\"activation\" : \"[A-Z_]+\" | $1\"activation\" : \"CUSTOM\" | at $.model.blocks[1].feedForward.activation: only a program that brings",
      })
  void aModelThatCannotBeTrainedHereIsRefusedBeforeItsFolderIsMade(
      String key, String value, String expected) throws IOException {
    Path run = folder.resolve("run");
    assertEquals(0, train(folder.resolve("small"), "--steps", "1").exitCode());
    String layers = String.join(",", Collections.nCopies(100_000, "0"));
    String config = Files.readString(folder.resolve("small/config.json"));
    String changed = config.replaceFirst(key, value.replace("LAYERS", layers));
    assertNotEquals(config, changed);
    Path file = Files.writeString(folder.resolve("large.json"), changed);
    assertRefused(
        1,
        expected,
        "train",
        "--config",
        file.toString(),
        "--text",
        text.toString(),
        "--out",
        run.toString());
    assertFalse(Files.exists(run));
  }

  /** --config excludes the options that its help lists. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "--preset tiny",
        "--arch moe",
        "--lr 1",
        "--batch 1",
        "--context 1",
        "--experts 1",
        "--steps 2",
        "--dtype f32",
        "--recompute",
        "--seed 1",
        "--resume"
      })
  void aConfigExcludesWhatItsHelpSays(String option) {
    String line = "train --config none.json --out " + folder.resolve("run") + " " + option;
    CommandRun refused = CommandRun.of(line.split(" "));
    assertEquals(2, refused.exitCode(), refused.toString());
    String help = CommandRun.of("train", "--help").out().replaceAll("\\s+", " ");
    String excluded = help.substring(help.indexOf("seed. Excludes "), help.indexOf(" --arch="));
    assertTrue(excluded.contains(option.split(" ")[0]), excluded);
  }

  @Test
  void aConfigComesFromAFileNotFromAPipe() throws Exception {
    Path pipe = folder.resolve("pipe");
    assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
    assertRefused(
        1,
        pipe + " is a device or pipe, not a regular file",
        "train",
        "--config",
        pipe.toString(),
        "--out",
        folder.resolve("run").toString());
  }

  @Test
  void anEmptyNameIsNoFolder() {
    for (String command : List.of("train --out=", "demo --out=", "inspect ", "generate --model=")) {
      assertRefused(2, "the path is empty", command.split(" ", -1));
    }
  }

  /** The weights are damaged: reading them first would report that. */
  @Test
  void whatCannotBeWrittenIsRefusedBeforeTheModelIsLoaded() throws IOException {
    Path run = folder.resolve("run");
    assertEquals(0, train(run, "--steps", "1").exitCode());
    damagedModel(run.resolve("checkpoints/step-00000001"));
    String[] generate = {"generate", "--model", run.toString(), "--device", "cpu"};
    assertRefused(1, "model.safetensors was changed since it was saved", generate);
    assertRefused(
        2,
        "the prompt has 5000 tokens, more than the model's context of ",
        with(generate, "--prompt", "x".repeat(5000)));
    assertRefused(
        2,
        "--runtime-kernels is for --device cuda, this run computes on cpu",
        with(generate, "--runtime-kernels"));
  }

  /** Changes a byte of a checkpoint's weights; returns their file. */
  private static Path damagedModel(Path checkpoint) throws IOException {
    Path model = checkpoint.resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(model);
    bytes[bytes.length - 1] ^= 1;
    return Files.write(model, bytes);
  }

  private CommandRun train(Path run, String... more) {
    return CommandRun.of(
        with(
            new String[] {
              "train", "--preset", "tiny", "--text", text.toString(), "--out", run.toString()
            },
            more));
  }

  private static String[] with(String[] line, String... more) {
    return Stream.of(line, more).flatMap(Arrays::stream).toArray(String[]::new);
  }

  private static byte[] weights(Path run) throws IOException {
    return Files.readAllBytes(run.resolve("checkpoints/step-00000012/model.safetensors"));
  }

  /** Puts the run into the state of a kill before its first checkpoint. */
  private static void forgetCheckpoints(Path run) throws IOException {
    delete(run.resolve("checkpoints"));
    Files.createDirectory(run.resolve("checkpoints"));
    delete(run.resolve("plots"));
  }

  private static void delete(Path checkpoint) throws IOException {
    try (Stream<Path> files = Files.walk(checkpoint)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
