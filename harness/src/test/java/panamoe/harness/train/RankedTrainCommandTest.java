package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.harness.CommandRun;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** train over several ranks, as a user runs it. */
class RankedTrainCommandTest {
  private static final JsonMapper JSON = JsonMapper.shared();

  @TempDir private Path folder;
  private Path text;

  @BeforeEach
  void writeText() throws IOException {
    String[] words = {
      "the", "committee", "thanks", "its", "members", "for", "this", "vote", "and", "report"
    };
    StringBuilder all = new StringBuilder();
    new Random(1)
        .ints(4000, 0, words.length)
        .forEach(i -> all.append(words[i]).append(i % 7 == 0 ? ".\n" : " "));
    text = Files.writeString(folder.resolve("text.txt"), all);
  }

  private CommandRun train(String name, String options) {
    return CommandRun.of(
        ("train --text " + text + " --out " + folder.resolve(name) + " " + options).split(" "));
  }

  private List<Double> losses(String name) throws IOException {
    return Losses.of(folder.resolve(name));
  }

  private static void assertClose(List<Double> expected, List<Double> actual) {
    assertEquals(expected.size(), actual.size());
    for (int i = 0; i < expected.size(); i++) {
      assertEquals(expected.get(i), actual.get(i), 1e-4, "step " + (i + 1));
    }
  }

  @Test
  void theLossIsThatOfOneRank() throws IOException {
    assertEquals(0, train("one", "--preset tiny --steps 5").exitCode());
    for (String ranks :
        List.of(
            "--ranks 4 --ep 2",
            "--ranks 4 --tp 2 --slice-experts --threads 2 --overlap 3",
            "--ranks 8 --tp 4 --expert-slices 2 --ep 4 --nodes 2 --exchange hierarchical")) {
      String name = ranks.replace(" ", "");
      CommandRun run = train(name, "--preset tiny --steps 5 " + ranks);
      assertEquals(0, run.exitCode(), run.err());
      assertTrue(run.out().contains("trained 5 steps"), run.out());
      assertEquals(
          1,
          run.err().lines().filter(line -> line.contains(ranks.substring(8, 9) + " ranks")).count(),
          run.err());
      assertClose(losses("one"), losses(name));
      CommandRun written =
          CommandRun.of(
              "generate",
              "--model",
              folder.resolve(name).toString(),
              "--prompt",
              "the ",
              "--max-tokens",
              "4");
      assertEquals(0, written.exitCode(), written.err());
    }
  }

  @Test
  void aRunGoesOnOnOtherRanks() throws IOException {
    assertEquals(0, train("one", "--preset tiny --steps 4").exitCode());
    Path halfway = folder.resolve("halfway.json");
    Files.writeString(
        halfway,
        Files.readString(folder.resolve("one/config.json"))
            .replaceAll("\"checkpointEvery\" : \\d+", "\"checkpointEvery\" : 2"));
    assertEquals(0, train("many", "--config " + halfway + " --ranks 2").exitCode());
    Path checkpoints = folder.resolve("many/checkpoints");
    Files.move(checkpoints.resolve("step-00000004"), folder.resolve("away"));
    Files.writeString(checkpoints.resolve("latest"), "step-00000002\n");

    CommandRun resumed = train("many", "--resume --ranks 4 --ep 2 --tp 2");
    assertEquals(0, resumed.exitCode(), resumed.err());
    assertTrue(resumed.err().contains("after step 2"), resumed.err());
    assertClose(losses("one"), losses("many"));
  }

  @Test
  void aTraceShowsWhatEveryRankComputedAndExchanged() throws IOException {
    Path file = folder.resolve("trace.json");
    CommandRun run =
        train("traced", "--preset tiny --steps 1 --ranks 2 --overlap 2 --trace " + file);
    assertEquals(0, run.exitCode(), run.err());
    Map<String, List<JsonNode>> lanes = new TreeMap<>();
    for (JsonNode event : JSON.readTree(file.toFile()).get("traceEvents")) {
      if (event.get("ph").asString().equals("X")) {
        lanes
            .computeIfAbsent(event.get("pid") + "/" + event.get("tid"), _ -> new ArrayList<>())
            .add(event);
      }
    }
    assertEquals(Set.of("0/0", "0/1", "1/0", "1/1"), lanes.keySet());
    for (int rank = 0; rank < 2; rank++) {
      assertTrue(
          names(lanes.get(rank + "/0"))
              .containsAll(Set.of("layer 1 experts", "layer 1 experts backward")));
      // Two parts of each direction of the one MoE layer, in forward and backward, and once more in
      // each validation.
      List<JsonNode> exchanges = lanes.get(rank + "/1");
      assertEquals(
          Set.of(
              "layer 1 dispatch",
              "layer 1 combine",
              "layer 1 combine backward",
              "layer 1 dispatch backward"),
          names(exchanges));
      assertEquals(
          2,
          exchanges.stream()
              .filter(e -> e.get("name").asString().equals("layer 1 combine backward"))
              .count());
      for (JsonNode event : exchanges) {
        assertTrue(
            event.get("ts").asDouble() > 0 && event.get("dur").asDouble() >= 0, event.toString());
      }
    }
  }

  private static Set<String> names(List<JsonNode> events) {
    return events.stream().map(event -> event.get("name").asString()).collect(Collectors.toSet());
  }

  /**
   * Rows of 8 ranks on 2 nodes: within a node, then a message to the one rank of the same place on
   * the other.
   */
  @Test
  void nodesThatArePlayedShowHierarchicalExchange() throws IOException {
    Map<String, long[]> sent = new TreeMap<>();
    for (String way : List.of("flat", "hierarchical")) {
      CommandRun run =
          train(way, "--preset tiny --steps 1 --ranks 8 --nodes 2 --overlap 0 --exchange " + way);
      assertEquals(0, run.exitCode(), run.err());
      String line =
          run.err().lines().filter(each -> each.startsWith("sent: ")).findFirst().orElseThrow();
      sent.put(
          way,
          Pattern.compile("[\\d,]+(?= messages)")
              .matcher(line)
              .results()
              .mapToLong(result -> Long.parseLong(result.group().replace(",", "")))
              .toArray());
    }
    assertEquals(losses("flat"), losses("hierarchical"));
    assertTrue(sent.get("hierarchical")[1] < sent.get("flat")[1], "messages between nodes");
    CommandRun one = train("one", "--preset tiny --steps 1 --ranks 8");
    assertTrue(one.err().contains("; 0 messages, 0 bytes between nodes"), one.err());
    assertClose(losses("one"), losses("flat"));
  }

  @Test
  void theTopologyIsDrawn() {
    CommandRun run =
        CommandRun.of(
            "train --preset tiny --ranks 8 --nodes 2 --ep 4 --tp 2 --explain-topology".split(" "));
    assertEquals(0, run.exitCode(), run.err());
    assertEquals(
        """
        8 ranks = 4 data x 2 tensor

        rank                        0    1    2    3    4    5    6    7
        node                        0    0    0    0    1    1    1    1
        part of the batch           0    0    1    1    2    2    3    3
        slice of heads and MLPs     0    1    0    1    0    1    0    1
        experts of layer 1        0-1  0-1  2-3  2-3  4-5  4-5  6-7  6-7

        tensor         slices of the same tokens
          tensor[0]          0 1
          tensor[1]          2 3
          tensor[2]          4 5
          tensor[3]          6 7
        data           sum of dense gradients
          data[0]            0 2 4 6
          data[1]            1 3 5 7
        expert4        exchange of rows
          expert4[0,0]       0 2 4 6
          expert4[1,0]       1 3 5 7
        expert-data4   sum of expert gradients
          expert-data4[0,0]  0 1
          expert-data4[1,0]  2 3
          expert-data4[2,0]  4 5
          expert-data4[3,0]  6 7
        """,
        run.out());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "2 | --ranks 6 --tp 4 | a world of 6 ranks does not divide into tensor groups of 4",
        "2 | --ranks 4 --ep 3 | which do not divide into expert groups of 3",
        "2 | --ranks 0 | ranks is 0",
        "2 | --ranks 2 --tp 0 | tensor degree is 0",
        "2 | --ranks 3 | 8 sequences of a micro-batch do not divide among 3 data ranks",
        "2 | --ranks 8 --tp 8 | 4 key/value heads do not divide among 8 tensor ranks",
        "2 | --ranks 2 --slice-experts | the tensor degree is 1",
        "2 | --ranks 2 --tp 2 --expert-slices 0 | the number of expert slices is 0",
        "2 | --ranks 4 --tp 4 --expert-slices 3 | is 4, which 3 expert slices do not divide",
        "2 | --ranks 4 --tp 4 --expert-slices 2 --ep 4 | is a multiple of 1 that divides 2 (ranks / expert slices)",
        "2 | --ranks 4 --tp 4 --slice-experts --expert-slices 2 | but --expert-slices is 2",
        "2 | --ranks 2 --comm mpi | -n of mpirun or srun says how many",
        "2 | --ranks 4 --nodes 3 | --nodes is 3, but must be 1 or more and divide the 4 ranks",
        "2 | --ranks 4 --nodes 0 | --nodes is 0, but must be 1 or more and divide the 4 ranks",
        "2 | --comm mpi --nodes 1 | --nodes is for threads",
        "1 | --comm nccl | NCCL",
        "2 | --comm tcp | --comm tcp: PANAMOE_RENDEZVOUS is not set: rank 0's host and port",
        "2 | --ranks 2 --comm tcp | --ranks is for threads; PANAMOE_RANKS says how many",
        "2 | --ranks 2 --overlap 65 | '--overlap': 65 is not in 0..64",
        "1 | --ranks 2 --trace /proc/sys/file | the folder /proc/sys is not writable; choose another --trace",
      })
  void ranksThatDoNotFitAreOneSentenceAndLeaveNoFolder(
      int exitCode, String options, String expected) {
    CommandRun refused = train("run", "--preset tiny " + options);
    assertEquals(exitCode, refused.exitCode(), refused.toString());
    assertTrue(refused.err().contains(expected), refused.err());
    assertEquals(1, refused.err().lines().count(), refused.err());
    assertFalse(Files.exists(folder.resolve("run")));
  }

  @Test
  void theFolderIsAskedFor() {
    CommandRun refused = CommandRun.of("train", "--preset", "tiny");
    assertEquals(2, refused.exitCode());
    assertTrue(refused.err().contains("'--out=DIR'"), refused.err());
  }
}
