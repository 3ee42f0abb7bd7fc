package panamoe.harness.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.json.JsonMapper;

/** The losses of a run's steps, as its metrics tell. */
final class Losses {
  private static final JsonMapper JSON = JsonMapper.shared();

  private Losses() {}

  static List<Double> of(Path run) throws IOException {
    List<Double> losses = new ArrayList<>();
    for (String line : Files.readAllLines(run.resolve("metrics.jsonl"))) {
      losses.add(JSON.readTree(line).get("loss").asDouble());
    }
    return losses;
  }
}
