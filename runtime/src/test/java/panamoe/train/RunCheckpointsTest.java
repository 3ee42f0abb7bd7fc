package panamoe.train;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static panamoe.train.TrainerBench.config;
import static panamoe.train.TrainerBench.steps;

import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.CheckpointStore;
import panamoe.config.GateConfig;
import panamoe.config.ModelPresets.Architecture;
import panamoe.io.ConfigJson;
import panamoe.io.StrictJson;
import panamoe.parallel.Ranks;
import tools.jackson.databind.node.ObjectNode;

/**
 * A state with a valid checksum that does not match its step is refused before it has any effect.
 */
class RunCheckpointsTest {
  @TempDir private Path directory;

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"step\": -1} | has the step -1, but the manifest beside it has 3",
        "{\"step\": 4} | has the step 4, but the manifest beside it has 3",
        "{\"step\": 3.0} | has the step 3.0, but the manifest beside it has 3",
        "{} | has no step, but the manifest beside it has 3",
        "{\"step\": 3, \"running_loss\": \"low\"} | has the running_loss \"low\", expected a finite number",
        "{\"step\": 3, \"running_loss\": \"NaN\"} | has the running_loss \"NaN\", expected a finite number",
        "{\"step\": 3, \"running_loss\": null} | has the running_loss null, expected a finite number",
      })
  void aStateOfAnotherStepIsRefused(String state, String refusal) throws Exception {
    RunConfig config = config(Architecture.DENSE, GateConfig.dropless(1), steps(8));
    ObjectNode json = (ObjectNode) ConfigJson.tree(config);
    ObjectNode signed = (ObjectNode) StrictJson.tree(state.getBytes(UTF_8));
    new CheckpointStore(directory, 1)
        .save(
            new CheckpointContents(3, json, signed, config.model().experts(), Map.of(), Map.of()));
    String message =
        assertThrows(
                CheckpointException.class,
                () -> RunCheckpoints.latest(directory, config, Ranks.alone()))
            .getMessage();
    assertEquals(directory.resolve("step-00000003/state.json") + " " + refusal, message);
  }
}
