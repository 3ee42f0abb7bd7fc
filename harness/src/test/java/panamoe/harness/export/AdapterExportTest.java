package panamoe.harness.export;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.engine.schedule.ModelRunner;
import panamoe.harness.CommandRun;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;

/** {@code export --adapter} as a user runs it, on adapters that {@code train --lora} trained. */
class AdapterExportTest {
  private static final int[] TOKENS = {5, 17, 260, 33, 9};

  @TempDir private Path folder;
  private Path base;

  @BeforeEach
  void trainAdapters() throws IOException {
    base = folder.resolve("base");
    ran("export ../lab/golden/hf/mixtral_b_bf16_sharded --to hf --dtype f32 --out " + base);
    Path text = Files.writeString(folder.resolve("text"), "the cat and the hen ".repeat(400));
    ran("tokenizer --text " + text + " --vocabulary 265 --out " + base + "/tokenizer.json");
    ran(
        "train --from %s --lora 3 --targets all,router --steps 3 --lr 0.05".formatted(base)
            + " --text %s --out %s".formatted(text, folder.resolve("mine")));
  }

  private static CommandRun ran(String command) {
    CommandRun run = CommandRun.of(command.split(" "));
    assertEquals(0, run.exitCode(), run.err());
    return run;
  }

  private static float[] logits(Path path) {
    try (Backend backend = new ReferenceBackend();
        LanguageModel model = ModelFolder.open(path).load(backend, DType.FLOAT32)) {
      return ModelRunner.nextLogits(backend, model, TOKENS);
    }
  }

  private static float distance(float[] one, float[] other) {
    float most = 0;
    for (int i = 0; i < one.length; i++) {
      most = Math.max(most, Math.abs(one[i] - other[i]));
    }
    return most;
  }

  /** The run's logits, with its adapters beside the weights, are those of every merged model. */
  @Test
  void adaptersInEveryFormAreTheRuns() throws IOException {
    Path mine = folder.resolve("mine");
    Path peft = folder.resolve("peft");
    Path gguf = folder.resolve("adapter.gguf");
    ran("export " + mine + " --adapter --to hf --out " + peft);
    ran("export " + mine + " --adapter --to gguf --out " + gguf);
    ran("export " + mine + " --to hf --out " + folder.resolve("exported"));
    String config = Files.readString(peft.resolve("adapter_config.json"));
    assertTrue(config.contains("\"base_model_name_or_path\" : \"" + base), config);
    assertTrue(config.contains("mlp.experts.gate_up_proj"), config);
    float[] expected = logits(mine);
    float most = distance(expected, new float[expected.length]);
    assertTrue(distance(expected, logits(base)) > 0.05 * most);
    assertArrayEquals(expected, logits(folder.resolve("exported")), 1e-5f * most);
    for (Path adapter : new Path[] {peft, gguf, mine}) {
      Path merged = folder.resolve("merged-" + adapter.getFileName());
      ran("edit " + base + " --merge-lora " + adapter + " --out " + merged);
      assertArrayEquals(expected, logits(merged), 1e-5f * most, adapter.toString());
    }
  }

  @Test
  void onlyARunOfAdaptersHasThem() {
    Path out = folder.resolve("out");
    CommandRun run =
        CommandRun.of("export", "" + base, "--adapter", "--to", "hf", "--out", "" + out);
    assertEquals(
        "panamoe export: %s has no adapters; --adapter is for a run of panamoe train --lora"
            .formatted(base),
        run.err().strip());
    run =
        CommandRun.of(
            "edit",
            "../lab/golden/hf/qwen3_c",
            "--merge-lora",
            "" + folder.resolve("mine"),
            "--out",
            "" + out);
    assertTrue(run.err().contains("has an adapter of "), run.err());
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(Files.notExists(out));
  }
}
