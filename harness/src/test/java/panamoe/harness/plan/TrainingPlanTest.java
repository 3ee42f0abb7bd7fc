package panamoe.harness.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.w3c.dom.Document;
import panamoe.config.ModelPresets;
import panamoe.harness.CommandRun;
import panamoe.harness.train.Presets;
import panamoe.parallel.Topology;
import panamoe.train.MemoryForecast;
import panamoe.train.RunConfig;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code plan train}. */
class TrainingPlanTest {
  private static final JsonMapper JSON = JsonMapper.shared();

  @TempDir private Path folder;

  private static double sum(JsonNode numbers) {
    double sum = 0;
    for (JsonNode number : numbers) {
      sum += number.asDouble();
    }
    return sum;
  }

  /** The written settings are the plan's: train prints its ranks and the same forecast. */
  @Test
  void thePlanIsRunByItsLaunchLine() throws Exception {
    Path config = folder.resolve("config.json");
    Path page = folder.resolve("plan.html");
    String command =
        "plan train 350M+PR-MoE-32/64 --cluster dgx-a100-40:8 --tokens 1e9 --batch 64 --price 2.5"
            + " --mtbf 5000 --skew 0.5 --json --write-config "
            + config
            + " --html "
            + page;
    CommandRun run = CommandRun.of(command.split(" "));
    assertEquals(0, run.exitCode(), run.err());
    assertEquals(1, run.out().lines().count());
    JsonNode json = JSON.readTree(run.out());
    assertEquals(7630, json.get("steps").asInt()); // 1e9 / (64 x 2048), rounded up
    for (JsonNode plan : json.get("front")) {
      double step = plan.get("step_ms").asDouble();
      assertEquals(step, sum(plan.get("terms")), 1e-9 * step);
      double hours = plan.get("card_hours").asDouble();
      assertEquals(2.5 * hours, plan.get("cost").asDouble(), 1e-9 * hours);
      assertEquals(24 * plan.get("cards").asInt() * plan.get("days").asDouble(), hours, 1e-6);
      assertTrue(plan.get("failures").get("lost").asDouble() > 0);
    }
    JsonNode fastest = json.get("front").get(json.get("fastest").asInt());
    RunConfig written = RunConfig.read(config);
    assertEquals(fastest.get("micro_batches").asInt(), written.training().batch().microBatches());
    assertEquals(
        fastest.get("failures").get("interval_steps").asInt(),
        written.training().checkpoints().every());
    Topology topology =
        new Topology(
            fastest.get("cards").asInt(),
            fastest.get("expert").asInt(),
            fastest.get("tensor").asInt(),
            fastest.get("slices").asInt());
    written.requireFits(topology);
    assertEquals(
        MemoryForecast.of(written.model(), written.training(), topology).toJson().toString(),
        fastest.get("memory").toString());
    String launch = fastest.get("launch").asString();
    assertTrue(launch.startsWith("mpirun -n 8 ./panamoe train --config " + config), launch);
    CommandRun drawn = CommandRun.of(onThreads(launch));
    assertEquals(0, drawn.exitCode(), drawn.err());
    Document document =
        DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(page.toFile());
    // Days, hours, a step, a device, dropped routes and load.
    assertEquals(6, document.getElementsByTagName("figure").getLength());
    assertFalse(Files.readString(page).contains("NaN"));
    CommandRun again = CommandRun.of(command.split(" "));
    assertEquals(1, again.exitCode());
    assertEquals("", again.out());
  }

  /** The same ranks as threads of one process, which print their topology and end. */
  private static String[] onThreads(String launch) {
    List<String> words = new ArrayList<>(List.of(launch.split(" ")));
    String ranks = words.get(2);
    words.subList(0, 4).clear();
    for (String option : List.of("--comm", "--device", "--data")) {
      int at = words.indexOf(option);
      words.subList(at, at + 2).clear();
    }
    words.addAll(List.of("--ranks", ranks, "--explain-topology"));
    return words.toArray(String[]::new);
  }

  @Test
  void aConfigKeepsItsSettings() throws Exception {
    RunConfig run =
        new RunConfig(
            ModelPresets.of(ModelPresets.Size.BASE, ModelPresets.Architecture.DEEPSEEK, 257),
            Presets.training(256),
            1);
    Path config = Files.writeString(folder.resolve("config.json"), run.toJson());
    CommandRun plan =
        CommandRun.of(
            ("plan train --cluster dgx-h100:2 --tokens 1e9 --checkpoint-every 100 --mtbf 1000 --config "
                    + config)
                .split(" "));
    assertEquals(0, plan.exitCode(), plan.err());
    String batch =
        run.training().batch().sequences() + " sequences of " + run.training().batch().length();
    assertTrue(plan.out().contains(batch), plan.out());
    assertTrue(plan.out().contains(" float32"), plan.out());
    assertTrue(plan.out().contains("  100 "), plan.out());
    assertTrue(plan.out().contains("mpirun -n 2 ./panamoe train --config config.json"), plan.out());
    assertTrue(plan.out().lines().allMatch(line -> line.length() <= 220), plan.out());
  }

  @Test
  void aLaunchLineQuotesItsFileForAShell() {
    String[] command =
        "plan train 350M --cluster dgx-a100:1 --tokens 1e9 --write-config x".split(" ");
    command[command.length - 1] = folder.resolve("my run.json").toString();
    CommandRun run = CommandRun.of(command);
    assertEquals(0, run.exitCode(), run.err());
    assertTrue(run.out().contains(" --config '" + folder + "/my run.json' "), run.out());
  }

  @Test
  void aWrittenRunHasCheckpoints() throws Exception {
    Path config = folder.resolve("config.json");
    Path page = folder.resolve("plan.html");
    String command =
        "plan train 350M --cluster dgx-a100:1 --tokens 1e11 --write-config " + config + " --html ";
    Path file = Files.writeString(folder.resolve("file"), "");
    CommandRun failed = CommandRun.of((command + file.resolve("plan.html")).split(" "));
    assertEquals(1, failed.exitCode(), failed.err());
    assertFalse(Files.exists(config), "both or none are written");
    Path empty = Files.createDirectory(folder.resolve("empty"));
    CommandRun taken = CommandRun.of((command + empty).split(" "));
    assertEquals("panamoe plan train: " + empty + " is a folder; --html is a file\n", taken.err());
    CommandRun run = CommandRun.of((command + page).split(" "));
    assertEquals(0, run.exitCode(), run.err());
    assertEquals(
        "note: without --mtbf, checkpoints are planned for one failure per device in 50,000 hours\n",
        run.err());
    int every = RunConfig.read(config).training().checkpoints().every();
    assertTrue(
        every > 1 && every < RunConfig.read(config).training().schedule().steps(), "" + every);
    assertTrue(Files.exists(page));
  }

  @Test
  void skewIsShownForServers() {
    String command = "plan serve 350M+MoE-128 --cluster dgx-a100:8 --overlap 1";
    CommandRun even = CommandRun.of(command.split(" "));
    CommandRun skewed = CommandRun.of((command + " --skew 1").split(" "));
    assertEquals(0, skewed.exitCode(), skewed.err());
    assertTrue(skewed.out().contains("Zipf 1.00 "), skewed.out());
    assertFalse(even.out().contains("Zipf"), even.out());
  }

  @Test
  void whatCannotBeIsOneSentence() {
    CommandRun run =
        CommandRun.of(
            "plan train 47B+MoE-128 --cluster dgx-a100-40:8 --tokens 1e9 --batch 64".split(" "));
    assertEquals(1, run.exitCode());
    assertEquals("", run.out());
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(
        run.err().startsWith("panamoe plan train: 47B+MoE-128 cannot be trained on"), run.err());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "--tokens -5                         | --tokens is -5.0, expected more than 0",
        "--tokens NaN                        | --tokens is NaN, expected more than 0",
        "--tokens 1e400                      | --tokens is Infinity, expected more than 0",
        "--tokens many                       | Invalid value for option '--tokens': 'many' is not a number",
        "--tokens 1e18                       | these tokens take more than 2^31 steps of 512 sequences",
        "--tokens 1e9 --batch 0              | the batch is 0, expected 1 to 65536 sequences",
        "--tokens 1e9 --context 4096         | the context is 4096, expected 1 to the model's 2048",
        "--tokens 1e9 --latency 25ms         | Unknown option",
        "--tokens 1e9 --days 0               | --days is 0.0, expected more than 0",
        "--tokens 1e9 --price NaN            | --price is NaN, expected more than 0",
        "--tokens 1e9 --price 1e308          | --price is 1.0E308, expected more than 0 and at most 1,000,000",
        "--tokens 1e9 --html a --write-config ./a | --html and --write-config are both a, expected two files",
        "--tokens 1e9 --mtbf -1              | the mean time between failures of a device is -1.0 h",
        "--tokens 1e9 --checkpoint-every 9   | --checkpoint-every needs --mtbf",
        "--tokens 1e9 --skew 9               | the skew is 9.0, expected an exponent of 0 (even) to 4",
        "--tokens 1e9 --skew hot             | 'hot' is neither an exponent such as 0.5 nor a file of counts",
        "--tokens 1e9 --skew 1               | the model has no experts that tokens could choose unevenly",
        "--tokens 1e9 --prompt 9             | Unknown option",
        "--tokens 1e9 --overlap 65           | the overlap is 65, expected 0 to 64 parts",
        "--tokens 1e9 --skew NaN             | the skew is NaN, expected an exponent",
      })
  void wrongUsageIsOneSentence(String options, String sentence) {
    CommandRun run = CommandRun.of(("plan train 1.3B --cluster dgx-h100:8 " + options).split(" "));
    assertEquals(2, run.exitCode(), run.err());
    assertEquals("", run.out());
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(run.err().startsWith("panamoe plan train: " + sentence), run.err());
  }
}
