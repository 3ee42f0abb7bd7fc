package panamoe.harness.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.harness.CommandRun;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class TwinCommandTest {
  private static final JsonMapper JSON = JsonMapper.shared();

  @TempDir private Path folder;

  @Test
  void sixtyFourDevicesLeaveATrackEach() throws IOException {
    Path trace = folder.resolve("trace.json");
    CommandRun run =
        run("--model 1.3B+MoE-128 --cluster dgx-a100:64 --tokens 128 --json --trace " + trace);
    assertEquals(0, run.exitCode(), run.err());
    JsonNode exchanges = JSON.readTree(run.out()).get("exchanges");
    assertEquals(2, exchanges.size());
    Map<String, Double> ends = endsOfTracks(JSON.readTree(trace.toFile()));
    assertEquals(2 * 64, ends.size());
    for (JsonNode exchange : exchanges) {
      double twin = exchange.get("twin_ms").asDouble();
      assertEquals(exchange.get("closed_form_ms").asDouble(), twin, 0.05 * twin);
      int process = exchange.get("exchange").asString().equals("flat") ? 0 : 1;
      double counts = exchange.get("counts_ms").asDouble();
      assertEquals(1e3 * (counts + twin), ends.get(process + " 63"), 1e-6);
    }
    CommandRun again = run("--model 1.3B+MoE-128 --cluster dgx-a100:64 --trace " + trace);
    assertEquals(1, again.exitCode());
    assertTrue(again.err().contains("trace.json"), again.err());
  }

  /**
   * Checks the Trace Event Format of complete events and metadata, and that the spans of a track
   * are ordered and disjoint.
   *
   * @return where the last span of each track ends, in microseconds
   */
  private static Map<String, Double> endsOfTracks(JsonNode trace) {
    Set<String> named = new HashSet<>();
    Map<String, Double> ends = new HashMap<>();
    for (JsonNode event : trace.get("traceEvents")) {
      assertTrue(event.get("name").isString() && event.get("args").isObject(), event.toString());
      assertTrue(event.get("pid").isInt() && event.get("tid").isInt(), event.toString());
      String track = event.get("pid") + " " + event.get("tid");
      switch (event.get("ph").asString()) {
        case "M" -> {
          assertTrue(event.get("args").get("name").isString(), event.toString());
          switch (event.get("name").asString()) {
            case "process_name" -> assertEquals("0", event.get("tid").asString());
            case "thread_name" -> assertTrue(named.add(track), event.toString());
            default -> fail("no such metadata: " + event);
          }
        }
        case "X" -> {
          assertTrue(event.get("ts").isNumber() && event.get("dur").isNumber(), event.toString());
          double start = event.get("ts").asDouble();
          assertTrue(event.get("dur").asDouble() >= 0, event.toString());
          assertTrue(start >= ends.getOrDefault(track, 0.0) - 1e-9, event.toString());
          ends.put(track, start + event.get("dur").asDouble());
          event.get("args").forEach(arg -> assertTrue(arg.isNumber(), event.toString()));
        }
        default -> fail("no such phase: " + event);
      }
    }
    assertEquals(named, ends.keySet());
    return ends;
  }

  @Test
  void aTrainedGateChooses() throws IOException {
    Path text = Files.writeString(folder.resolve("text.txt"), "Thanks for the vote.\n".repeat(900));
    Path trained = folder.resolve("run");
    String training = "train --preset tiny --steps 3 --text " + text + " --out " + trained;
    CommandRun train = CommandRun.of(training.split(" "));
    assertEquals(0, train.exitCode(), train.err());
    String command = "--routes " + trained + " --text " + text + " --cluster dgx-a100:16 --ep 4";
    CommandRun run = run(command + " --tokens 32");
    assertEquals(0, run.exitCode(), run.err());
    assertTrue(run.out().contains("routes of " + trained), run.out());
    assertTrue(run.out().lines().anyMatch(line -> line.startsWith("flat ")), run.out());
    CommandRun greedy = run(command + " --tokens 60000");
    assertEquals(1, greedy.exitCode());
    assertTrue(greedy.err().contains("name a longer one by --text"), greedy.err());
    CommandRun other = run(command + " --model 1.3B+MoE-128");
    assertEquals(1, other.exitCode());
    assertTrue(other.err().contains("of 128"), other.err());
  }

  @Test
  void aReleasedModelIsPlayed() {
    String model = "../lab/golden/gguf/mixtral_b_q4_0.gguf";
    CommandRun run = run("--cluster dgx-a100:8 --model " + model);
    assertEquals(0, run.exitCode(), run.err());
    assertTrue(run.out().startsWith(model + " on dgx-a100:8, layer 0"), run.out());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--cluster dgx-a100:8 | give one of MODEL and --config, or --routes",
        "--cluster dgx-a100:8 --model 1.3B+MoE-128 --text x | --text needs --routes",
        "--cluster dgx-a100:2048 --model 1.3B+MoE-128 | at most 1024, not 2048",
        "--cluster dgx-a100:16 --model 1.3B+MoE-128 --tp 16 | tensor groups stay within a node",
        "--cluster dgx-a100:16 --model 1.3B+MoE-128 --ep 1 | so no rows are exchanged",
        "--cluster dgx-a100:16 --model 1.3B+MoE-128 --ep 5 | do not divide into expert groups of 5",
        "--cluster dgx-a100:16 --model 1.3B+MoE-128 --layer 0 | layer 0 of 1.3B+MoE-128 is not an MoE layer, expected one of [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23] (",
        "--cluster dgx-a100:16 --model 1.3B --layer 1 | 1.3B",
        "--cluster dgx-a100:16 --model 1.3B+MoE-128 --tokens 0 | --tokens is 0, expected 1 to 65536",
      })
  void wrongUsageIsOneSentence(String options, String sentence) {
    CommandRun run = run(options);
    assertEquals(2, run.exitCode(), run.err());
    assertTrue(run.err().contains(sentence), run.err());
    assertEquals("", run.out());
  }

  private static CommandRun run(String options) {
    return CommandRun.of(("twin " + options).split(" "));
  }
}
