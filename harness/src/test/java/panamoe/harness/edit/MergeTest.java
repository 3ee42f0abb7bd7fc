package panamoe.harness.edit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.SafetensorsReader;
import panamoe.engine.schedule.ModelRunner;
import panamoe.harness.CommandRun;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code edit --merge-lora} as a user runs it, on recorded models and adapters. */
class MergeTest {
  private static final Path MODELS = Path.of("..", "lab", "golden", "hf");
  private static final Path ADAPTERS =
      Path.of("..", "runtime", "src", "test", "resources", "golden", "adapters");

  @TempDir private Path folder;

  private CommandRun merge(Path model, Path adapter, String... options) {
    Path out = folder.resolve("merged");
    String[] fixed = {"edit", "" + model, "--merge-lora", "" + adapter, "--out", "" + out};
    return CommandRun.of(
        Stream.concat(Stream.of(fixed), Stream.of(options)).toArray(String[]::new));
  }

  /** Weights in bfloat16 round the sums. */
  @ParameterizedTest
  @CsvSource({
    "qwen3_c, dense, 14, F32, 1e-5",
    "qwen3_moe_b_bf16, stacked, 36, BF16, 2e-2",
    "qwen3_moe_b_bf16, experts, 7, BF16, 2e-2"
  })
  void theMergedModelsLogitsAreTorchs(
      String model, String adapter, int matrices, String dtype, float tolerance)
      throws IOException {
    CommandRun run = merge(MODELS.resolve(model), ADAPTERS.resolve(adapter), "--json");
    assertEquals(0, run.exitCode(), run.err());
    JsonNode report = JsonMapper.shared().readTree(run.out());
    assertEquals(matrices, report.get("matrices").asInt());
    Path merged = folder.resolve("merged");
    try (SafetensorsReader weights = SafetensorsReader.open(merged.resolve("model.safetensors"));
        SafetensorsReader expected =
            SafetensorsReader.open(ADAPTERS.resolve(adapter).resolve("expected.safetensors"));
        Backend backend = new ReferenceBackend();
        LanguageModel changed = ModelFolder.open(merged).load(backend, DType.FLOAT32)) {
      assertTrue(weights.tensors().stream().allMatch(it -> it.type().name().equals(dtype)));
      int[] ids = Arrays.stream(expected.longs("ids")).mapToInt(id -> (int) id).toArray();
      float[] ours = ModelRunner.nextLogits(backend, changed, ids);
      float[] all = expected.floats("logits");
      float[] theirs = Arrays.copyOfRange(all, all.length - ours.length, all.length);
      float most = 0;
      for (float logit : theirs) {
        most = Math.max(most, Math.abs(logit));
      }
      assertArrayEquals(theirs, ours, tolerance * most);
    }
  }

  @Test
  void printsWhatItWrote() {
    CommandRun run = merge(MODELS.resolve("qwen3_c"), ADAPTERS.resolve("dense"));
    assertEquals(0, run.exitCode(), run.err());
    assertTrue(run.out().startsWith("changed matrices         14\n"), run.out());
    assertTrue(run.out().endsWith("written: " + folder.resolve("merged") + "\n"), run.out());
  }

  /** A failure leaves no folder, also if it shows while weights are written. */
  @Test
  void failuresLeaveNothing() throws IOException {
    refused("which has none of that name", "qwen3_moe_b_bf16", "another");
    refused("does not exist", "qwen3_c", "nowhere");
    refused("lm_head.weight cannot be stored as F32: a number is", "qwen3_c", "large");
  }

  private void refused(String part, String model, String adapter) throws IOException {
    Path given = folder.resolve(adapter);
    if (!adapter.equals("nowhere")) {
      Files.createDirectory(given);
      Path source = ADAPTERS.resolve("dense");
      String config = Files.readString(source.resolve("adapter_config.json"));
      boolean large = adapter.equals("large");
      Files.writeString(
          given.resolve("adapter_config.json"),
          large ? config.replace("\"lora_alpha\": 3", "\"lora_alpha\": 1e39") : config);
      Files.copy(
          source.resolve("adapter_model.safetensors"), given.resolve("adapter_model.safetensors"));
    }
    CommandRun run = merge(MODELS.resolve(model), given);
    assertTrue(run.exitCode() != 0);
    List<String> errors = run.err().lines().filter(line -> line.startsWith("panamoe")).toList();
    assertEquals(1, errors.size(), run.err());
    assertTrue(errors.getFirst().contains(part), run.err());
    try (Stream<Path> left = Files.list(folder)) {
      assertEquals(List.of(), left.filter(path -> path.toString().contains("merged")).toList());
    }
  }
}
