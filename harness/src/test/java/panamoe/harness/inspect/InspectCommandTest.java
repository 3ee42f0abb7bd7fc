package panamoe.harness.inspect;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.api.Device;
import panamoe.api.ModelSettings;
import panamoe.api.TrainableModel;
import panamoe.config.EveryPart;
import panamoe.harness.CommandRun;
import panamoe.io.ConfigJson;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Tests inspect with a config file that has every part. */
class InspectCommandTest {
  @TempDir private Path folder;
  private Path config;

  @BeforeEach
  void writeConfig() throws IOException {
    RunConfig run = new RunConfig(EveryPart.model(), TrainConfig.of(10, 4, 16), 1);
    config = Files.writeString(folder.resolve("config.json"), run.toJson());
  }

  @Test
  void theTableHasEveryPart() {
    CommandRun table = CommandRun.of("inspect", config.toString());
    assertEquals(0, table.exitCode(), table.err());
    assertEquals(
        List.of(
            "config      " + config,
            "model       7 layers of width 32, context 24, vocabulary 61, learned positions, untied head",
            "layer 0      4 heads of 8 (4 key/value), MLP 40: 6,984 parameters",
            "layer 1      4 heads of 12 (2 key/value), window 3, sinks, scale 0.2, soft cap 0.5, QK-norm of the head, clip 1.25,"
                + " rotary 1,000,000 on 6 dimensions in adjacent pairs, linear x2.0, norms around, 8 experts of 24,"
                + " top-2 in 2 of 4 groups, dropless, plus a gated shared expert of 20: 25,516 parameters",
            "layer 2      4 heads of 8 (2 key/value), full mask, QK-norm of the projection, rotary 10,000,"
                + " Llama 3 x8.0, outputs times 0.4, 4 experts of 16, top-2, by cosines over 10, best score,"
                + " plus a shared expert of 12: 8,655 parameters",
            "layer 3      4 heads of 10 (values 5) over latents of 7, queries of 10, scale 0.4,"
                + " rotary 10,000 on 4 dimensions in adjacent pairs, norms after, outputs times 0.7, MLP 20: 4,021 parameters",
            "layer 4      4 heads of 6 (4 key/value), chunks of 4, temperature from 3 on, MLP 12: 4,288 parameters",
            "layer 5      4 heads of 8 (2 key/value), QK-norm of the head, keys as values, norm of values,"
                + " rotary 10,000, of which 0.5 rotate, norms around, times a stored number, 4 experts of 8, top-2,"
                + " weights times a factor of the expert, dropless, plus a shared expert of 12, norms of each branch:"
                + " 7,193 parameters",
            "layer 6      4 heads of 8 (2 key/value), QK-norm of the rotated head without weights, rotary 10,000,"
                + " YaRN x4.0, 4 experts of 16, top-1, weights of SparseMixer, priority, plus a fixed MLP 28:"
                + " 9,502 parameters"),
        table.out().lines().limit(9).toList());
  }

  @Test
  void layersAndTheRestAreAllParameters() throws IOException {
    CommandRun run = CommandRun.of("inspect", config.toString(), "--json", "--memory");
    assertEquals(0, run.exitCode(), run.err());
    JsonNode json = JsonMapper.shared().readTree(run.out());
    long layers = 0;
    for (JsonNode layer : json.get("parameters_by_layer")) {
      layers += layer.asLong();
    }
    int finalNorm = 32;
    assertEquals(
        json.get("total").asLong(), layers + json.at("/parameters/embedding").asLong() + finalNorm);
    assertEquals(4 * json.get("total").asLong(), json.at("/memory/weights").asLong());
    assertEquals(config.toString(), json.get("config").asString());
    assertTrue(json.path("step").isMissingNode());
  }

  @Test
  void roundedMatricesTakeLessMemory() throws IOException {
    long bytes = weights("int8");
    long nibbles = weights("int4");
    JsonNode json = JsonMapper.shared().readTree(inspect("--json").out());
    long experts = json.at("/parameters/expert").asLong();
    assertTrue(experts > 0);
    long rounded = json.get("total").asLong() - json.at("/parameters/embedding").asLong();
    // Half a byte per element, without the vocabulary; some rows are not whole blocks here.
    assertTrue(bytes - nibbles < rounded / 2 && bytes - nibbles > experts / 6);
    assertTrue(bytes < 4 * json.get("total").asLong() - experts);
    assertEquals(2, inspect("--quantize", "int8").exitCode());
    CommandRun stored = inspect("--memory", "--quantize", "stored");
    assertEquals(2, stored.exitCode());
    assertTrue(stored.err().contains("is for files of weights, and " + config), stored.err());
  }

  private long weights(String quantize) throws IOException {
    CommandRun run = inspect("--json", "--memory", "--quantize", quantize);
    assertEquals(0, run.exitCode(), run.err());
    return JsonMapper.shared().readTree(run.out()).at("/memory/weights").asLong();
  }

  private CommandRun inspect(String... options) {
    return CommandRun.of(
        Stream.concat(Stream.of("inspect", config.toString()), Arrays.stream(options))
            .toArray(String[]::new));
  }

  @Test
  void aModelThatAFrameworkSavedHasNoTraining() throws IOException {
    Path saved = folder.resolve("saved");
    try (Device device = Device.open("cpu", 1);
        TrainableModel model =
            TrainableModel.create(device, ModelSettings.of(99, 16, 16, 2, List.of(0, 4)), 1)) {
      model.save(saved, 3, Map.of());
    }
    CommandRun run = CommandRun.of("inspect", saved.toString(), "--json", "--memory");
    assertEquals(0, run.exitCode(), run.err());
    JsonNode json = JsonMapper.shared().readTree(run.out());
    assertEquals(3, json.get("step").asInt());
    String edit = "edit " + saved + " --drop-layers 0 --out " + folder.resolve("edited");
    CommandRun refused = CommandRun.of((edit + " --text " + config).split(" "));
    assertEquals(1, refused.exitCode());
    assertTrue(refused.err().contains("was saved by a framework"), refused.err());
    assertTrue(json.at("/memory/weights").asLong() > 0, run.out());
  }

  @Test
  void refusesWhatIsNoRunsConfig() throws IOException {
    CommandRun verify = CommandRun.of("inspect", config.toString(), "--verify");
    assertEquals(2, verify.exitCode());
    assertTrue(verify.err().contains("--verify is for a checkpoint, and " + config), verify.err());
    Files.writeString(config, ConfigJson.text(EveryPart.model()));
    CommandRun model = CommandRun.of("inspect", config.toString());
    assertEquals(1, model.exitCode());
    assertTrue(model.err().contains(config + ": at $.model: this key is missing"), model.err());
    assertEquals(1, model.err().lines().count(), model.err());
  }
}
