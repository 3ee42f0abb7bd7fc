package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.checkpoint.Checkpoint;
import panamoe.config.AdapterConfig;
import panamoe.harness.CommandRun;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;
import panamoe.train.RunConfig;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code train --from --lora}, and the commands that open what it trained. */
class AdapterTrainCommandTest {
  @TempDir private Path folder;
  private Path released;
  private Path text;

  @BeforeEach
  void copyModel() throws IOException {
    released = Files.createDirectory(folder.resolve("model"));
    try (Stream<Path> files = Files.list(Path.of("../lab/golden/hf/mixtral_b_bf16_sharded"))) {
      for (Path file : files.toList()) {
        Files.copy(file, released.resolve(file.getFileName()));
      }
    }
    text =
        Files.writeString(
            folder.resolve("text.txt"), "the cat and the dog and the hen ".repeat(400));
    ran("tokenizer --text " + text + " --vocabulary 262 --out " + released + "/tokenizer.json");
  }

  private static CommandRun ran(String command) {
    CommandRun run = CommandRun.of(command.split(" "));
    assertEquals(0, run.exitCode(), run.err());
    return run;
  }

  private static void refused(String part, String command) {
    CommandRun run = CommandRun.of(command.split(" "));
    assertTrue(run.exitCode() != 0);
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(run.err().contains(part), run.err());
  }

  private String train(Path out, String options) {
    return "train --from " + released + " --text " + text + " --out " + out + " " + options;
  }

  private String bits(Path model) {
    return ran("eval " + model + " --text " + text).out().split(";")[0];
  }

  @Test
  void adaptersAreTrainedResumedAndOpened() throws IOException {
    Path run = folder.resolve("run");
    String options = "--lora 4 --targets experts,attention,router --lora-dropout 0.1 --lora-rs";
    CommandRun trained = ran(train(run, options + " --lr 1e-2 --steps 3"));
    String said = trained.out();
    assertTrue(said.contains("adapters: 28,080 parameters trained, 310,464 held"), said);
    String last = said.strip().lines().toList().getLast();
    assertTrue(last.contains(" got a") || last.startsWith("no gradient got layer"), last);
    assertTrue(Files.readString(run.resolve("report.html")).contains(last));

    RunConfig config = RunConfig.read(run.resolve("config.json"));
    List<String> targets = List.of("experts", "attention", "router");
    assertEquals(new AdapterConfig(4, 8, true, 0.1, targets), config.adapters());
    assertEquals(released.toAbsolutePath().toString(), config.base().path());
    Checkpoint saved = Checkpoint.open(run.resolve("checkpoints"));
    assertEquals(3, saved.step());
    assertTrue(Files.size(saved.directory().resolve("model.safetensors")) < 28_080 * 4 + 100_000);

    String first = bits(run);
    assertFalse(first.equals(bits(released)), first);
    ran("train --out " + run + " --resume --steps 5");
    String resumed = bits(run);
    assertFalse(first.equals(resumed), resumed);
    ran("generate --model " + run + " --prompt the --max-tokens 4 --device cpu");

    // Exported, they are part of the matrices.
    Path out = folder.resolve("exported");
    ran("export " + run + " --to hf --dtype f32 --out " + out);
    assertEquals(resumed, bits(out));

    // Another model in the place of the first is refused by all.
    Path weights = released.resolve("model-00001-of-00003.safetensors");
    byte[] changed = Files.readAllBytes(weights);
    for (int i = changed.length / 2; i < changed.length; i++) {
      changed[i] ^= 1;
    }
    Files.write(weights, changed);
    String has = "has changed since the adapters were trained over it";
    refused(has, "train --out " + run + " --resume --steps 6");
    refused(has, "generate --model " + run + " --prompt the --device cpu");
  }

  @Test
  void blocksStayBlocks() throws IOException {
    Path gguf = Path.of("../lab/golden/gguf/qwen3moe_text_q8_0.gguf");
    Path run = folder.resolve("run");
    ran("train --from " + gguf + " --lora 2 --text " + text + " --steps 1 --out " + run);
    assertTrue(RunConfig.read(run.resolve("config.json")).base().matrices() == null);
    assertTrue(ModelFolder.open(run).typesAsStored(DType.FLOAT32).quantized());
    ran("generate --model " + run + " --prompt the --max-tokens 2 --device cpu");

    Path rounded = folder.resolve("rounded");
    ran(train(rounded, "--lora 2 --quantize int4 --steps 1"));
    assertEquals("Q4_0", RunConfig.read(rounded.resolve("config.json")).base().matrices());
  }

  /** Two later checkpoints of its run would delete the model. */
  @Test
  void aRunsCheckpointIsWarnedOf() {
    Path base = folder.resolve("base");
    Path adapted = folder.resolve("adapted");
    ran("train --text " + text + " --preset tiny --steps 1 --out " + base);
    String data = " --text " + text + " --lora 2 --steps 1 --out " + adapted;
    String err = ran("train --from " + base + data).err();
    String warned = "warning: the adapters are of " + base.resolve("checkpoints");
    assertTrue(err.lines().anyMatch(line -> line.startsWith(warned)), err);
    String released = ran(train(folder.resolve("other"), "--lora 2 --steps 1")).err();
    assertFalse(released.contains("warning: the adapters"), released);
  }

  @Test
  void badInputIsRefusedInASentence() {
    Path out = folder.resolve("refused");
    refused(
        "the target atention matches no matrix of the model; there are attention, experts,",
        train(out, "--lora 4 --targets atention"));
    refused("--lora is 0, expected a rank of 1 or more", train(out, "--lora 0"));
    refused("rank is 100, but layers.0.attention.query.weight", train(out, "--lora 100"));
    refused("dropout is 1.0", train(out, "--lora 4 --lora-dropout 1"));
    String untied = "../lab/golden/gguf/qwen3moe_text_q8_0.gguf";
    refused(
        "an adapter of the head learns no preferences with dropout",
        ("train --from " + untied + " --dpo " + text + " --out " + out)
            + " --lora 4 --targets head --lora-dropout 0.1");
    refused("without --lora there are no adapters", train(out, "--targets experts"));
    refused(
        "--lora trains adapters of a model that there is",
        "train --text " + text + " --lora 4 --out " + out);
    assertTrue(Files.notExists(out));
  }

  @Test
  void inspectForecastsTheirMemory() {
    String command = "inspect " + released + " --memory --lora 4 --targets experts --json";
    JsonNode memory = JsonMapper.shared().readTree(ran(command).out()).path("memory");
    long trained = memory.path("gradients").asLong() / 4;
    assertEquals(3 * 4 * 4 * (64 + 224 + 112 + 64), trained);
    assertEquals(4 * 310_464 + 4 * trained, memory.path("weights").asLong());
    assertEquals(8 * trained, memory.path("moments").asLong());
    refused("--lora goes with --memory", "inspect " + released + " --lora 4");
  }
}
