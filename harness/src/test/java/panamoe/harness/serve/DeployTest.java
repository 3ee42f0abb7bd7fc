package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import panamoe.harness.Main;
import panamoe.harness.serve.log.LogWriter;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The files of examples/deploy, compared with serve's options and paths. */
@Timeout(60)
class DeployTest {
  private static final Path FOLDER = Path.of("..", "examples", "deploy");
  private static final String MAIN = "panamoe.harness.Main";

  private static String read(String name) throws IOException {
    return Files.readString(FOLDER.resolve(name));
  }

  private static int defaultOf(String option) {
    CommandSpec serve = Main.commandLine().getSubcommands().get("serve").getCommandSpec();
    return Integer.parseInt(serve.findOption(option).defaultValue());
  }

  /** The maximum duration of a stop. */
  private static Duration stop() {
    return Duration.ofSeconds(defaultOf("--shutdown-timeout"))
        .plus(ApiServer.LAST_WORDS)
        .plus(LogWriter.LAST_WRITES.multipliedBy(2)); // of two logs
  }

  private static void requireServes(List<String> arguments) {
    CommandLine.ParseResult parsed =
        Main.commandLine().parseArgs(arguments.toArray(String[]::new)).subcommand();
    assertEquals("serve", parsed.commandSpec().name());
    assertFalse(parsed.hasMatchedOption("--port"), "the other ports are those of the default");
    assertFalse(parsed.hasMatchedOption("--shutdown-timeout"));
  }

  /** The lines of a unit, with continuations joined. */
  private static List<String> unit() throws IOException {
    return read("panamoe.service").replace("\\\n", " ").lines().toList();
  }

  private static String setting(String name) throws IOException {
    return unit().stream()
        .filter(line -> line.startsWith(name + "="))
        .map(line -> line.substring(name.length() + 1))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void theUnit() throws Exception {
    List<String> command = List.of(setting("ExecStart").split("\\s+"));
    requireServes(command.subList(command.indexOf(MAIN) + 1, command.size()));
    assertTrue(
        setting("ExecStartPost")
            .endsWith(" http://127.0.0.1:" + defaultOf("--port") + ApiServer.HEALTH));
    assertEquals("SIGTERM", setting("KillSignal"));
    assertTrue(
        Duration.ofSeconds(Integer.parseInt(setting("TimeoutStopSec"))).compareTo(stop()) > 0);
  }

  @Test
  void theUnitIsSystemds(@TempDir Path folder) throws Exception {
    Path analyze = Path.of("/usr/bin/systemd-analyze");
    Assumptions.assumeTrue(Files.isExecutable(analyze));
    // The programs need not be installed.
    List<String> lines =
        unit().stream().map(line -> line.replaceFirst("^(Exec\\w+=)/\\S+", "$1/bin/true")).toList();
    Path unit = Files.write(folder.resolve("panamoe.service"), lines);
    Process process =
        new ProcessBuilder(analyze.toString(), "verify", "--man=no", unit.toString())
            .redirectErrorStream(true)
            .start();
    String told = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), told);
    assertFalse(told.contains("panamoe.service:"), told);
  }

  /** The instructions of a Dockerfile, one per line. */
  private static List<String> instructions() throws IOException {
    return read("Dockerfile")
        .replaceAll("(?m)^\\s*#.*\n", "")
        .replace("\\\n", " ")
        .lines()
        .filter(line -> !line.isBlank())
        .toList();
  }

  private static String last(String instruction) throws IOException {
    return instructions().stream()
        .filter(line -> line.startsWith(instruction + " "))
        .reduce((_, later) -> later)
        .orElseThrow()
        .substring(instruction.length() + 1)
        .strip();
  }

  private static List<String> words(String array) throws IOException {
    return JsonMapper.shared()
        .readerForListOf(String.class)
        .readValue(array.substring(array.indexOf('[')));
  }

  @Test
  void theImage() throws Exception {
    List<String> known =
        List.of(
            "FROM",
            "ENV",
            "WORKDIR",
            "COPY",
            "RUN",
            "USER",
            "EXPOSE",
            "STOPSIGNAL",
            "HEALTHCHECK",
            "ENTRYPOINT",
            "CMD");
    for (String line : instructions()) {
      assertTrue(known.contains(line.split(" ")[0]), line);
    }
    assertEquals(2, instructions().stream().filter(line -> line.startsWith("FROM ")).count());
    assertTrue(Integer.parseInt(last("USER")) > 0);
    String port = Integer.toString(defaultOf("--port"));
    assertEquals(port, last("EXPOSE"));
    assertEquals("SIGTERM", last("STOPSIGNAL"));
    assertEquals(
        "http://127.0.0.1:" + port + ApiServer.HEALTH, words(last("HEALTHCHECK")).getLast());
    assertEquals(MAIN, words(last("ENTRYPOINT")).getLast());
    requireServes(words(last("CMD")));
    for (String line : instructions()) {
      if (line.startsWith("COPY ci/")) {
        for (String file : line.split(" ")) {
          assertTrue(!file.startsWith("ci/") || Files.exists(Path.of("..").resolve(file)), file);
        }
      }
    }
    String advice = read("README.md");
    int stop = Integer.parseInt(advice.replaceFirst("(?s).*--stop-timeout (\\d+).*", "$1"));
    assertTrue(Duration.ofSeconds(stop).compareTo(stop()) > 0);
  }

  @Test
  void theManifest() throws Exception {
    List<JsonNode> documents = new ArrayList<>();
    new Load(LoadSettings.builder().build())
        .loadAllFromString(read("kubernetes.yaml"))
        .forEach(document -> documents.add(JsonMapper.shared().valueToTree(document)));
    assertEquals(
        List.of("Deployment", "Service"),
        documents.stream().map(document -> document.get("kind").stringValue()).toList());
    JsonNode pod = documents.getFirst().at("/spec/template/spec");
    JsonNode container = pod.at("/containers/0");
    List<String> args = new ArrayList<>();
    container.get("args").forEach(argument -> args.add(argument.asString()));
    requireServes(args);
    assertEquals(defaultOf("--port"), container.at("/ports/0/containerPort").intValue());
    String image = container.get("image").stringValue();
    String advice = read("README.md");
    assertTrue(advice.contains(" -t " + image + " .\n"), image);
    assertTrue(read("Dockerfile").contains(" -t " + image + " .\n"), image);
    assertTrue(advice.contains(" --stop-timeout 60 " + image + "\n"), image);
    assertEquals(ApiServer.HEALTH, path(container, "startupProbe"));
    assertEquals(ApiServer.HEALTH, path(container, "readinessProbe"));
    assertEquals(ApiServer.LIVE, path(container, "livenessProbe"));
    JsonNode sleep = container.at("/lifecycle/preStop/exec/command");
    assertEquals("sleep", sleep.get(0).stringValue());
    Duration grace = Duration.ofSeconds(pod.get("terminationGracePeriodSeconds").intValue());
    assertTrue(
        grace.compareTo(stop().plusSeconds(Integer.parseInt(sleep.get(1).asString()))) > 0,
        grace::toString);
    assertEquals(Integer.parseInt(last("USER")), pod.at("/securityContext/runAsUser").intValue());
    assertTrue(container.at("/securityContext/readOnlyRootFilesystem").booleanValue());
    assertEquals(
        documents.getFirst().at("/spec/template/metadata/labels"),
        documents.getLast().at("/spec/selector"));
    assertEquals(container.at("/ports/0/name"), documents.getLast().at("/spec/ports/0/targetPort"));
  }

  /** Each metric of the rules is one of a server that had a request and refused one. */
  @Test
  void theAlerts() throws Exception {
    Set<String> named = new TreeSet<>();
    Object rules = new Load(LoadSettings.builder().build()).loadFromString(read("alerts.yaml"));
    JsonNode groups = JsonMapper.shared().valueToTree(rules);
    for (JsonNode rule : groups.at("/groups/0/rules")) {
      Matcher metric =
          Pattern.compile("(panamoe|process|jvm)_\\w+").matcher(rule.get("expr").asString());
      assertTrue(metric.find() || rule.get("expr").asString().startsWith("up{"), rule::toString);
      metric.reset().results().forEach(found -> named.add(found.group()));
    }
    assertTrue(named.size() >= 10, named::toString);
    try (TestServer server = new TestServer()) {
      server.metrics.ends(() -> Instant.EPOCH);
      server.metrics.refused("queue_full");
      server.ask("/v1/completions", "{'prompt':'x','max_tokens':1}");
      server.get("/none");
      for (String name : named) {
        TestServer.await(
            () ->
                scrape(server).contains("\n" + name + "{")
                    || scrape(server).contains("\n" + name + " "));
      }
    }
  }

  private static String scrape(TestServer server) {
    try {
      return server.get("/metrics").body();
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String path(JsonNode container, String probe) {
    assertEquals(container.at("/ports/0/name"), container.at("/" + probe + "/httpGet/port"));
    return container.at("/" + probe + "/httpGet/path").stringValue();
  }

  @Test
  void theFilesThatThePageNames() throws IOException {
    String page = read("README.md");
    try (Stream<Path> files = Files.list(FOLDER)) {
      files
          .map(file -> file.getFileName().toString())
          .filter(name -> !name.equals("README.md") && !name.endsWith(".dockerignore"))
          .forEach(name -> assertTrue(page.contains("[" + name + "](" + name + ")"), name));
    }
  }
}
