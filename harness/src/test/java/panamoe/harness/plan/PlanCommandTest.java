package panamoe.harness.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.w3c.dom.Document;
import panamoe.config.ModelPresets;
import panamoe.harness.CommandRun;
import panamoe.harness.train.Presets;
import panamoe.io.ConfigJson;
import panamoe.plan.Cluster;
import panamoe.plan.Constant;
import panamoe.plan.Efficiency;
import panamoe.plan.Machine;
import panamoe.plan.Node;
import panamoe.train.RunConfig;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

class PlanCommandTest {
  private static final JsonMapper JSON = JsonMapper.shared();

  @TempDir private Path folder;

  @Test
  void thePaperIsOneLineOfJson() throws IOException {
    CommandRun run = CommandRun.of("plan", "paper", "--json");
    assertEquals(0, run.exitCode(), run.err());
    assertEquals(1, run.out().lines().count());
    JsonNode json = JSON.readTree(run.out());
    Set<String> names = new HashSet<>();
    for (JsonNode point : json.get("points")) {
      names.add(point.get("name").asString());
      double predicted = point.get("predicted_ms").asDouble();
      double sum = 0;
      for (JsonNode term : point.get("terms")) {
        sum += term.asDouble();
      }
      assertEquals(predicted, sum, 1e-9 * predicted);
      double published = point.get("published_ms").asDouble();
      assertEquals(published, predicted, 0.1 * published, point.get("name").asString());
    }
    assertEquals(9, names.size());
    assertEquals(2, json.get("fitted").size());
    json.get("fitted").forEach(name -> assertTrue(names.contains(name.asString())));
    assertEquals(4, json.get("scaling").size());
    assertEquals(9, json.get("pytorch").size());
    for (JsonNode speedup : json.get("pytorch")) {
      double shares = speedup.get("unexplained_share").asDouble();
      for (JsonNode optimization : speedup.get("optimizations")) {
        shares += optimization.get("share").asDouble();
      }
      assertEquals(1, shares, 1e-9, speedup.get("name").asString());
    }
    assertEquals(2, json.get("dense").size());
    Set<String> kinds = Set.of("published", "measured", "assumed", "fitted");
    for (JsonNode constant : json.get("constants")) {
      assertTrue(constant.get("value").isNumber());
      assertTrue(kinds.contains(constant.get("kind").asString()));
      assertTrue(!constant.get("unit").asString().isEmpty());
      assertTrue(!constant.get("source").asString().isEmpty());
    }
  }

  @Test
  void thePaperIsATable() {
    CommandRun run = CommandRun.of("plan", "paper");
    assertEquals(0, run.exitCode(), run.err());
    assertTrue(run.out().contains("1.3B+MoE-128@64 *"), run.out());
    assertTrue(run.out().contains("8B+PR-MoE-64/128+MoS    16    16"), run.out());
    assertTrue(run.out().lines().allMatch(line -> line.length() <= 200), run.out());
  }

  @Test
  void aSearchIsOneLineOfJson() throws IOException {
    CommandRun run =
        CommandRun.of(
            "plan serve 1.3B+MoE-128 --cluster dgx-a100:16 --latency 30ms --batch 4 --prompt 600 --json"
                .split(" "));
    assertEquals(0, run.exitCode(), run.err());
    assertEquals(1, run.out().lines().count());
    JsonNode json = JSON.readTree(run.out());
    assertEquals(4, json.get("batch").asInt());
    assertEquals(600, json.get("prompt").asInt());
    JsonNode front = json.get("front");
    assertTrue(front.size() > 1);
    for (JsonNode plan : front) {
      double sum = 0;
      for (JsonNode term : plan.get("terms")) {
        sum += term.asDouble();
      }
      double latency = plan.get("latency_ms").asDouble();
      assertEquals(latency, sum, 1e-9 * latency);
      assertTrue(latency <= 30);
      double read = 0;
      for (JsonNode term : plan.get("prompt_terms")) {
        read += term.asDouble();
      }
      assertEquals(read, plan.get("prompt_ms").asDouble(), 1e-9 * read);
      assertTrue(read > latency, "600 tokens are read in two steps");
      String launch = plan.get("launch").asString();
      String ranks =
          "mpirun -n " + plan.get("cards").asInt() + " ./panamoe serve MODEL --comm nccl";
      assertTrue(launch.startsWith(ranks), launch);
      assertTrue(launch.contains(" --ep " + plan.get("expert").asInt() + " "), launch);
      boolean sliced = plan.get("tensor").asInt() > 1;
      assertEquals(sliced, launch.contains(" --tp " + plan.get("tensor").asInt()), launch);
      assertTrue(launch.endsWith(" --dtype bf16 --sequences 4"), launch);
    }
    JsonNode cheapest = front.get(json.get("cheapest").asInt());
    for (JsonNode plan : front) {
      assertTrue(
          cheapest.get("card_seconds_per_token").asDouble()
              <= plan.get("card_seconds_per_token").asDouble());
    }
  }

  @Test
  void aConfigOfTrainingIsPlannedOnAClusterOfAFile() throws IOException {
    RunConfig run =
        new RunConfig(
            ModelPresets.of(ModelPresets.Size.BASE, ModelPresets.Architecture.DEEPSEEK, 257),
            Presets.training(256),
            1);
    Path config = Files.writeString(folder.resolve("config.json"), run.toJson());
    Path cluster =
        Files.writeString(
            folder.resolve("cluster.json"), ConfigJson.text(Cluster.of("dgx-h100:2")));
    CommandRun plan =
        CommandRun.of(
            "plan", "serve", "--config", config.toString(), "--cluster", cluster.toString());
    assertEquals(0, plan.exitCode(), plan.err());
    assertTrue(plan.out().startsWith(config + " on dgx-h100:2, predicted"), plan.out());
    assertTrue(plan.out().contains("fewest devices"), plan.out());
    assertTrue(plan.out().contains("least squares on"), plan.out());
  }

  @ParameterizedTest
  @CsvSource({"hf/gpt_oss_d_releasedrope", "hf/deepseek_v3_a", "gguf/gptoss_c_yarn_q8_0.gguf"})
  void aReleasedModelIsPlannedByItsConfig(String name) {
    String path = Path.of("..", "lab", "golden").resolve(name).toString();
    CommandRun plan = CommandRun.of("plan", "serve", "--model", path, "--cluster", "dgx-h100:2");
    assertEquals(0, plan.exitCode(), plan.err());
    assertTrue(plan.out().startsWith(path + " on dgx-h100:2, predicted"), plan.out());
    String note =
        "note: the weights of " + path + " are quantized; the plan counts them in bfloat16\n";
    assertEquals(name.endsWith("q8_0.gguf") ? note : "", plan.err());
  }

  /** A file like those of {@code plan calibrate}. */
  private Path calibration(Machine machine) throws IOException {
    Node node = Node.KNOWN.get("dgx-h100");
    Constant time = new Constant(0.5, "s", Constant.Kind.MEASURED, "test");
    Constant share = new Constant(0.5, "of the peak", Constant.Kind.MEASURED, "test");
    Constant memory = new Constant(0.9, "of the memory", Constant.Kind.ASSUMED, "test");
    Efficiency efficiency = new Efficiency(time, time, time, time, null, share, share, memory);
    Efficiency training = new Efficiency(null, null, time, null, time, share, share, memory);
    Path file = folder.resolve("own.json");
    return Files.writeString(
        file, ConfigJson.text(new Cluster(node, 2, efficiency, training, machine)));
  }

  @Test
  void aCalibrationPredictsByWhatWasMeasured() throws IOException {
    Path file = calibration(Calibration.here("cpu"));
    CommandRun plan =
        CommandRun.of("plan", "serve", "--model", "350M", "--cluster", file.toString());
    assertEquals(0, plan.exitCode(), plan.err());
    assertEquals("", plan.err());
    assertFalse(plan.out().contains("least squares"), plan.out());
    // 24 layers of half a second, a step, and 50257 logits for each of 8 sequences.
    assertTrue(plan.out().contains("201040"), plan.out());
    CommandRun training =
        CommandRun.of(("plan train 350M --tokens 1e9 --json --cluster " + file).split(" "));
    assertEquals(0, training.exitCode(), training.err());
    JsonNode constants = JSON.readTree(training.out()).get("constants");
    assertEquals("measured", constants.get("flops_share").get("kind").asString());
    assertEquals(0.5, constants.get("activation").get("value").asDouble());
    String serves = "    ./panamoe serve MODEL --ranks 2 --device cpu --ep 1 --tp 2 --dtype bf16";
    CommandRun experts = CommandRun.of(("plan serve 350M+MoE-128 --cluster " + file).split(" "));
    assertTrue(experts.out().contains(serves), experts.out());
  }

  @Test
  void aCalibrationOfAnotherMachineIsNotTakenForThisOne() throws IOException {
    Path file = calibration(new Machine("elsewhere", "Z80", 1, "cpu"));
    CommandRun plan =
        CommandRun.of("plan", "serve", "--model", "350M", "--cluster", file.toString());
    assertEquals(0, plan.exitCode(), plan.err());
    assertEquals(
        "warning: " + file + " was measured on another machine, elsewhere (1 × Z80)\n", plan.err());
    CommandRun training =
        CommandRun.of(("plan train 350M --tokens 1e9 --cluster " + file).split(" "));
    assertEquals(0, training.exitCode(), training.err());
    assertEquals(plan.err(), training.err());
    CommandRun validate = CommandRun.of("plan", "validate", "--cluster", file.toString());
    assertEquals(2, validate.exitCode());
    assertEquals("", validate.out());
    assertTrue(
        validate
            .err()
            .startsWith("panamoe plan validate: " + file + " is a calibration of another machine"),
        validate.err());
    Files.writeString(file, Files.readString(file).substring(0, 500));
    CommandRun torn = CommandRun.of("plan", "validate", "--cluster", file.toString());
    assertEquals(2, torn.exitCode());
    assertTrue(
        torn.err().startsWith("panamoe plan validate: " + file + ": it ends too early"),
        torn.err());
    assertEquals(1, torn.err().lines().count());
  }

  @Test
  void aConstantAtItsBoundIsReported() throws IOException {
    Path file = calibration(Calibration.here("cpu"));
    ObjectNode json = (ObjectNode) JSON.readTree(file.toFile());
    ((ObjectNode) json.at("/efficiency/flops")).put("kind", "bound");
    Files.writeString(file, json.toString());
    CommandRun plan = CommandRun.of(("plan serve 350M --cluster " + file).split(" "));
    assertEquals(0, plan.exitCode(), plan.err());
    assertTrue(
        plan.err().startsWith("warning: flops_share is not measured but a bound, 0.5"), plan.err());
    assertEquals(1, plan.err().lines().count(), plan.err());
  }

  @Test
  void aCalibrationServesWhatItHas() throws IOException {
    Path file = calibration(Calibration.here("cpu"));
    ObjectNode json = (ObjectNode) JSON.readTree(file.toFile());
    json.remove("training");
    Files.writeString(file, json.toString());
    String text = file.toString();
    assertNotNull(ClusterOption.ofThisMachine(text, MeasuredSteps.SERVING).efficiency());
    assertEquals(
        text + " has no steps of training; calibrate this machine again",
        assertThrows(
                IllegalArgumentException.class,
                () -> ClusterOption.ofThisMachine(text, MeasuredSteps.ALL))
            .getMessage());
    ((ObjectNode) json.get("machine")).remove("device");
    Files.writeString(file, json.toString());
    CommandRun validate = CommandRun.of("plan", "validate", "serving", "--cluster", text);
    assertEquals(2, validate.exitCode());
    assertEquals(1, validate.err().lines().count(), validate.err());
    assertTrue(validate.err().contains("at $.machine.device: this key is missing"), validate.err());
    json.remove("machine");
    ObjectNode efficiency = (ObjectNode) json.get("efficiency");
    for (String lost : List.of("layer", "step")) {
      JsonNode value = efficiency.remove(lost);
      Files.writeString(file, json.toString());
      String refused =
          assertThrows(IllegalArgumentException.class, () -> Cluster.of(text)).getMessage();
      assertTrue(refused.contains("the efficiency of serving needs"), refused);
      efficiency.set(lost, value);
    }
  }

  @Test
  void aPageNeedsNothingElseAndIsWellFormed() throws Exception {
    Path page = folder.resolve("plan.html");
    String[] command = ("plan serve 1.3B+MoE-128 --cluster dgx-a100:16 --html " + page).split(" ");
    CommandRun run = CommandRun.of(command);
    assertEquals(0, run.exitCode(), run.err());
    String html = Files.readString(page);
    assertEquals(
        "",
        Pattern.compile("https?:|src=|href=\"[^#]|@import|url\\(|\\{\\{[\\w.]+}}")
            .matcher(html.replace("'http://www.w3.org/2000/svg'", ""))
            .results()
            .map(MatchResult::group)
            .collect(Collectors.joining()));
    Document document =
        DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(page.toFile());
    assertEquals(4, document.getElementsByTagName("figure").getLength());
    long plans =
        run.out().lines().filter(line -> line.matches(".* (flat|hierarchical) .*")).count();
    // A cell for each of 8 terms and 3 parts of memory of each plan, and for the legends.
    assertEquals((8 + 3) * (plans + 1), document.getElementsByTagName("rect").getLength());
    assertEquals(
        document.getElementsByTagName("table").getLength(),
        Pattern.compile("<div class=\"wide\" [^>]*><table>").matcher(html).results().count());
    assertEquals(
        List.of(),
        Pattern.compile("role=\"region\" aria-label=\"([^\"]*)\"")
            .matcher(html)
            .results()
            .map(MatchResult::group)
            .collect(Collectors.groupingBy(region -> region, Collectors.counting()))
            .entrySet()
            .stream()
            .filter(region -> region.getValue() > 1)
            .toList(),
        "regions of one name");
    String launch =
        run.out().lines().filter(line -> line.contains("./panamoe")).findFirst().orElseThrow();
    assertEquals(
        launch.strip(), document.getElementsByTagName("pre").item(0).getTextContent().strip());
    CommandRun again = CommandRun.of(command);
    assertEquals(1, again.exitCode());
    assertEquals("", again.out());
    assertTrue(again.err().contains("plan.html"), again.err());
    assertEquals(html, Files.readString(page));
  }

  @Test
  void whatCannotBeIsOneSentence() {
    CommandRun run = CommandRun.of("plan serve 47B+MoE-128 --cluster dgx-a100-40:8".split(" "));
    assertEquals(1, run.exitCode());
    assertEquals("", run.out());
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(run.err().startsWith("panamoe plan serve: 47B+MoE-128 does not fit on"), run.err());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "serve                                   | serve: Missing required option: '--cluster=CLUSTER'",
        "serve --cluster dgx-h100:8              | serve: give one of MODEL and --config",
        "train 1.3B --cluster dgx-h100:8         | train: Missing required option: '--tokens=N'",
        "serve 1.3B --config c.json --cluster dgx-h100:8 | serve: give one of MODEL and --config",
        "paper 1.3B                              | paper: Unmatched argument: '1.3B'",
        "paper --batch 4                         | paper: Unknown option",
        "serve 9B --cluster dgx-h100:8           | serve: '9B' is none of 1.3B, ",
        "serve 1.3B --cluster dgx:8              | serve: 'dgx:8' is neither a file nor NODE:GPUS",
        "serve 1.3B --cluster dgx-h100:12        | serve: 12 devices are not whole nodes of 8 devices; take 8 or 16",
        "serve 1.3B --cluster dgx-h100:8 --latency 25    | serve: --latency is '25', expected a time",
        "serve 1.3B --cluster dgx-h100:8 --latency 0ms   | serve: --latency is '0ms', expected a time",
        "serve 1.3B --cluster dgx-h100:8 --latency 1ns   | serve: --latency is '1ns', expected a time above 0 in us, ms or s",
        "serve 1.3B --cluster dgx-h100:8 --batch 0       | serve: the batch is 0, expected 1 to 65536",
        "serve 1.3B --cluster dgx-h100:8 --context 4096  | serve: the context is 4096, expected 1 to",
        "serve 1.3B --cluster dgx-h100:8 --days 3        | serve: Unknown option",
        "serve 1.3B --cluster dgx-h100:8 --prompt 0      | serve: the prompt is 0, expected 1 to the context of 2,048",
        "serve 1.3B --cluster dgx-h100:8 --prompt 4096   | serve: the prompt is 4096, expected 1 to the",
        "serve 1.3B --cluster dgx-h100:8 --overlap 2     | serve: the overlap is 2 parts; serving is planned with",
        "serve --config none.json --cluster dgx-h100:8   | serve: there is no file none.json",
        "calibrate --ranks 0                     | calibrate: --ranks is 0, expected 1 to 64",
        "calibrate --model 1.3B                  | calibrate: Unknown option",
        "calibrate --cluster dgx-h100:8          | calibrate: Unknown option",
        "validate decoding                       | validate: Invalid value for positional parameter at index 0"
            + " (STEPS): 'decoding' is none of [all, serving, training]",
        "validate --price=2                      | validate: Unknown option",
        "validate --out=own.json                 | validate: Unknown option",
        "validate --cluster dgx-h100:8           | validate: --cluster needs a file of plan calibrate, but"
            + " dgx-h100:8 is not measured",
        "validate --cluster none.json            | validate: 'none.json' is neither a file nor NODE:GPUS",
      })
  void wrongUsageIsOneSentence(String commandLine, String sentence) {
    CommandRun run = CommandRun.of(("plan " + commandLine).split(" "));
    assertEquals(2, run.exitCode());
    assertEquals("", run.out());
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(run.err().startsWith("panamoe plan " + sentence), run.err());
  }

  @Test
  void planAloneShowsItsCommands() {
    CommandRun run = CommandRun.of("plan");
    assertEquals(0, run.exitCode(), run.err());
    assertTrue(run.out().contains("calibrate"), run.out());
    assertEquals(run, CommandRun.of("plan", "--help"));
  }
}
