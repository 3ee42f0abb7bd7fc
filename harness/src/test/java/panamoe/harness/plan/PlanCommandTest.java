package panamoe.harness.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.harness.CommandRun;

class PlanCommandTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @Test
  void thePaperIsOneLineOfJson() throws IOException {
    CommandRun run = CommandRun.of("plan", "--paper", "--json");
    assertEquals(0, run.exitCode(), run.err());
    assertEquals(1, run.out().lines().count());
    JsonNode json = JSON.readTree(run.out());
    Set<String> names = new HashSet<>();
    for (JsonNode point : json.get("points")) {
      names.add(point.get("name").asText());
      double predicted = point.get("predicted_ms").asDouble();
      double sum = 0;
      for (JsonNode term : point.get("terms")) {
        sum += term.asDouble();
      }
      assertEquals(predicted, sum, 1e-9 * predicted);
      double published = point.get("published_ms").asDouble();
      assertEquals(published, predicted, 0.1 * published, point.get("name").asText());
    }
    assertEquals(9, names.size());
    assertEquals(3, json.get("fitted").size());
    json.get("fitted").forEach(name -> assertTrue(names.contains(name.asText())));
    Set<String> kinds = Set.of("published", "measured", "assumed", "fitted");
    for (JsonNode constant : json.get("constants")) {
      assertTrue(constant.get("value").isNumber());
      assertTrue(kinds.contains(constant.get("kind").asText()));
      assertTrue(!constant.get("unit").asText().isEmpty());
      assertTrue(!constant.get("source").asText().isEmpty());
    }
  }

  @Test
  void thePaperIsATable() {
    CommandRun run = CommandRun.of("plan", "--paper");
    assertEquals(0, run.exitCode(), run.err());
    assertTrue(run.out().contains("47B+MoE-128@256 *"), run.out());
    assertTrue(run.out().contains("8B+PR-MoE-64/128+MoS            16     16"), run.out());
    assertTrue(run.out().lines().allMatch(line -> line.length() <= 200), run.out());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "plan | panamoe plan: give --paper",
      })
  void wrongUsageIsOneSentence(String commandLine, String sentence) {
    CommandRun run = CommandRun.of(commandLine.split(" "));
    assertEquals(2, run.exitCode());
    assertEquals("", run.out());
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(run.err().startsWith(sentence), run.err());
  }
}
