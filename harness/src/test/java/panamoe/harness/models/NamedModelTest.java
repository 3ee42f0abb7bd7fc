package panamoe.harness.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.api.Device;
import panamoe.harness.CommandRun;
import panamoe.harness.SmallJvm;
import panamoe.testkit.HubStandIn;
import panamoe.text.MoeModel;

/** Commands with models by name, in processes whose environment names a stand-in of the hub. */
class NamedModelTest {
  private static final Path GOLDEN =
      Path.of("..", "lab", "golden", "gguf", "qwen3moe_text_q8_0.gguf");
  private static final String FILE = "tiny-Q8_0.gguf";

  @TempDir private Path home;
  private HubStandIn hub;

  @BeforeEach
  void begin() throws IOException {
    hub = new HubStandIn().with(FILE, Files.readAllBytes(GOLDEN)).with("tiny-F16.gguf", "other");
  }

  @AfterEach
  void end() {
    hub.close();
  }

  /** Runs each argument as a command line, and prints exit code, errors and output of each. */
  static final class Commands {
    public static void main(String[] lines) {
      for (String line : lines) {
        CommandRun run = CommandRun.of(line.split(" "));
        System.out.println(run.exitCode() + " " + run.err().strip() + "|" + run.out().strip());
      }
    }
  }

  /** Opens a model by the facade, and prints what its log says. */
  static final class Facade {
    public static void main(String[] names) {
      try (Device device = Device.open("reference", 1);
          MoeModel model = MoeModel.open(device, Path.of(names[0]))) {
        System.err.println(model.context());
      }
    }
  }

  private Process start(String... commands) throws IOException {
    return start(Commands.class, ProcessBuilder.Redirect.DISCARD, commands);
  }

  private Process start(Class<?> main, ProcessBuilder.Redirect errors, String... arguments)
      throws IOException {
    ProcessBuilder process =
        new ProcessBuilder(SmallJvm.command(main, arguments)).redirectError(errors);
    process
        .environment()
        .keySet()
        .removeIf(name -> name.matches("HF_.*|HUGGING.*|.*_(proxy|PROXY)"));
    process.environment().put("HF_HOME", home.toString());
    process.environment().put("HF_ENDPOINT", hub.endpoint().toString());
    return process.start();
  }

  private static List<String> said(Process process) throws IOException, InterruptedException {
    byte[] out = process.getInputStream().readAllBytes();
    assertEquals(0, process.waitFor());
    return new String(out, StandardCharsets.UTF_8).lines().toList();
  }

  @Test
  void aNameIsFetchedOnceAndThenOpenedOffline() throws Exception {
    String host = hub.endpoint().getAuthority();
    String place =
        home.resolve("hub/models--acme--tiny/snapshots/" + HubStandIn.COMMIT + "/" + FILE)
            .toString();
    List<String> said =
        said(
            start(
                "generate hf:acme/tiny:Q8_0 -p the --max-tokens 2 --temperature 0 --device reference --json --offline",
                "generate hf:acme/tiny:Q8_0 -p the --max-tokens 2 --temperature 0 --device reference --json",
                "generate --model hf:acme/tiny:Q8_0 -p the --max-tokens 2 --temperature 0 --device reference --json --offline",
                "pull hf:acme/tiny:Q8_0",
                "pull hf:acme/tiny",
                "pull novels",
                "inspect hf:acme",
                "models",
                "models --remove hf:acme/tiny:Q8_0",
                "models"));
    assertEquals(
        "1 panamoe generate: hf:acme/tiny:Q8_0 is not whole in "
            + home.resolve("hub")
            + ", and the network is not to be used (--offline, HF_HUB_OFFLINE)|",
        said.get(0));
    String fetching = "fetching hf:acme/tiny:Q8_0 from " + host;
    assertTrue(said.get(1).startsWith("0 " + fetching + "|{\"prompt\":\"the\""), said.get(1));
    String json =
        said.get(1).substring(said.get(1).indexOf('|') + 1).replaceAll(",\"prefill_.*", "");
    assertTrue(said.get(2).startsWith("0 |" + json), said.get(2));
    assertEquals("0 " + fetching + "|" + place, said.get(3));
    assertEquals(
        "panamoe pull: hf:acme/tiny is several models: there are F16, Q8_0; name one, such as"
            + " hf:acme/tiny:F16|",
        said.get(5));
    assertTrue(
        said.get(6).startsWith("2 panamoe pull: 'novels' is a path, expected a name such as"));
    assertTrue(said.get(7).startsWith("2 panamoe inspect: 'hf:acme' is not the name of a model"));
    assertTrue(
        said.get(8).matches("0 \\| *375.4 KiB  20\\d\\d-\\d\\d-\\d\\d  hf:acme/tiny:Q8_0"),
        said.get(8));
    assertEquals("1 model, 375.4 KiB, in " + home.resolve("hub"), said.get(9));
    assertTrue(
        said.get(10).matches("0 \\|removed hf:acme/tiny:Q8_0: .* KiB are free"), said.get(10));
    assertEquals("0 |0 models, 0.0 KiB, in " + home.resolve("hub"), said.get(11));
    assertEquals(1, hub.asked("/large/" + FILE).size());
  }

  @Test
  void aPlanFetchesNoWeights() throws Exception {
    Path config = Path.of("../lab/golden/hf/qwen3_moe_b_bf16/config.json");
    String keys = Files.readString(config).strip().replaceFirst("}$", "");
    hub.with("model.safetensors", "none")
        .with("config.json", keys + ", \"quantization_config\": {\"quant_method\": \"fp8\"}}");
    String plan = "plan serve --cluster dgx-h100:1 --json hf:acme/tiny";
    List<String> said = said(start(plan, plan + " --offline", plan + ":Q8_0"));
    assertEquals(
        "0 fetching hf:acme/tiny from " + hub.endpoint().getAuthority(),
        said.get(0),
        said::toString);
    assertTrue(
        said.get(1)
            .startsWith(
                "note: the weights of hf:acme/tiny are quantized; the plan counts them in bfloat16|{"),
        said.get(1));
    assertTrue(
        said.get(2).startsWith("1 panamoe plan serve: hf:acme/tiny is not whole in "), said.get(2));
    assertTrue(
        said.get(4)
            .startsWith(
                "panamoe plan serve: hf:acme/tiny:Q8_0 is a GGUF file, whose configuration comes with its weights"),
        said.get(4));
    assertEquals(List.of(), hub.asked("/model.safetensors"));
    assertEquals(List.of(), hub.asked("/large/" + FILE));
  }

  /** A name is always that of a released model. */
  @Test
  void whatNeedsARunAsksNoHub() throws Exception {
    List<String> said =
        said(
            start(
                "edit hf:acme/tiny --merge-experts 2 --out " + home.resolve("edited"),
                "edit hf:acme/tiny --reshape --out " + home.resolve("edited"),
                "distill --teacher hf:acme/tiny --out " + home.resolve("student")));
    for (String sentence : said) {
      assertTrue(
          sentence.matches(
              "1 panamoe (edit|distill): hf:acme/tiny is a released model, and this needs a"
                  + " checkpoint of a run, which panamoe train --from makes of one\\|"),
          sentence);
    }
    assertEquals(List.of(), hub.asked);
  }

  @Test
  void theFacadeOpensANameAndLogsThatItFetches() throws Exception {
    Path log = home.resolve("log");
    for (int lines : new int[] {2, 1}) { // the second time it is in the cache
      Process process =
          start(Facade.class, ProcessBuilder.Redirect.to(log.toFile()), "hf:acme/tiny:Q8_0");
      assertEquals(List.of(), said(process));
      List<String> said =
          Files.readAllLines(log).stream()
              .filter(line -> line.matches("\\d+|.*fetching.*"))
              .toList();
      assertEquals(lines, said.size(), said::toString);
      assertTrue(
          lines == 1 || said.getFirst().contains("fetching hf:acme/tiny:Q8_0 from "),
          said::toString);
    }
  }

  @Test
  void twoProcessesFetchAFileOnce() throws Exception {
    hub.before =
        request -> {
          while (request.path().endsWith("/large/" + FILE)
              && hub.asked("/revision/main").size() < 2) {
            Thread.onSpinWait(); // until the other process has asked too
          }
        };
    List<Process> both = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      both.add(start("pull hf:acme/tiny:Q8_0"));
    }
    for (Process process : both) {
      assertTrue(said(process).getFirst().startsWith("0 fetching "));
    }
    assertEquals(1, hub.asked("/large/" + FILE).size());
  }
}
