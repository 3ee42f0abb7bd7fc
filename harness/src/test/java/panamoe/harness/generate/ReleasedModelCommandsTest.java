package panamoe.harness.generate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.data.JsonTokenizer;
import panamoe.data.ReleasedTokenizer;
import panamoe.harness.CommandRun;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The commands on a released model's folder whose tokenizer has fewer tokens than the head. */
class ReleasedModelCommandsTest {
  @TempDir private Path folder;
  private Path released;

  @BeforeEach
  void copyModel() throws IOException {
    released = folder.resolve("model");
    Files.createDirectory(released);
    Path golden = Path.of("../lab/golden/hf/mixtral_b_bf16_sharded");
    try (Stream<Path> files = Files.list(golden)) {
      for (Path file : files.toList()) {
        Files.copy(file, released.resolve(file.getFileName()));
      }
    }
  }

  private CommandRun ran(String... arguments) {
    CommandRun run = CommandRun.of(arguments);
    assertEquals(0, run.exitCode(), run.err());
    return run;
  }

  private void refused(String part, String... arguments) {
    CommandRun run = CommandRun.of(arguments);
    assertEquals(1, run.exitCode(), run.err());
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(run.err().contains(part), run.err());
  }

  private Path text() throws IOException {
    Path text = folder.resolve("text.txt");
    return Files.writeString(text, "the cat and the dog and the hen ".repeat(8));
  }

  private void makeTokenizer() throws IOException {
    String file = released.resolve("tokenizer.json").toString();
    ran("tokenizer", "--text", text().toString(), "--vocabulary", "270", "--out", file);
  }

  @Test
  void textIsWrittenAndMeasured() throws IOException {
    makeTokenizer();
    String[] generate = {
      "generate",
      "--model",
      released.toString(),
      "--prompt",
      "the cat",
      "--max-tokens",
      "6",
      "--json",
      "--device",
      "cpu",
      "--dtype",
      "f32"
    };
    JsonNode first = JsonMapper.shared().readTree(ran(generate).out());
    assertEquals(6, first.get("tokens").asInt());
    Path generation = released.resolve("generation_config.json");
    Files.writeString(generation, "{\"do_sample\": false, \"eos_token_id\": [0]}");
    JsonNode greedy = JsonMapper.shared().readTree(ran(generate).out());
    List<String> asked = new ArrayList<>(List.of(generate));
    asked.addAll(List.of("--temperature", "0", "--ignore-generation-config"));
    JsonNode asAsked = JsonMapper.shared().readTree(ran(asked.toArray(String[]::new)).out());
    assertEquals(greedy.get("text"), asAsked.get("text"));
    Files.writeString(generation, "{\"eos_token_id\": [0, 270]}");
    refused("eos_token_id that is not the number of one of 270 tokens", generate);
    Files.delete(generation);
    String text = text().toString();
    CommandRun eval =
        ran("eval", released.toString(), "--text", text, "--window", "16", "--device", "cpu");
    assertTrue(eval.out().contains("bits per byte"), eval.out());
  }

  /** This model's rows of down have 112 elements, those of up 64. */
  @Test
  void matricesAreRoundedWhereTheirRowsAreWholeBlocks() throws IOException {
    makeTokenizer();
    String[] eval = {"eval", released.toString(), "--text", text().toString(), "--json"};
    List<String> rounding = new ArrayList<>(List.of(eval));
    rounding.addAll(List.of("--quantize", "int8"));
    CommandRun rounded = ran(rounding.toArray(String[]::new));
    assertEquals(
        "warning: layers.0.moe.experts.down.weight and 2 more stay float32: its rows of 112 elements"
            + " are no whole blocks of 32",
        rounded.err().strip());
    double exact = bits(ran(eval));
    assertNotEquals(exact, bits(rounded));
    assertEquals(exact, bits(rounded), 0.15);
  }

  private static double bits(CommandRun eval) throws IOException {
    return JsonMapper.shared().readTree(eval.out()).get("bits_per_byte").asDouble();
  }

  /** Qwen3 lists the end of a message before the end of a document. */
  @Test
  void aDocumentEndsByTheUsualName() throws IOException {
    makeTokenizer();
    Path file = released.resolve("tokenizer.json");
    int usual = JsonTokenizer.load(file).endOfText();
    Path generation = released.resolve("generation_config.json");
    Files.writeString(generation, "{\"eos_token_id\": [" + (usual + 5) + ", " + usual + "]}");
    JsonTokenizer two = ReleasedTokenizer.ofFolder(released);
    assertEquals(usual, two.endOfText());
    assertArrayEquals(new int[] {usual, usual + 5}, two.ends());
    assertTrue(two.endsText(usual + 5) && two.endsText(usual) && !two.endsText(usual + 1));
    Files.writeString(generation, "{\"eos_token_id\": " + (usual + 5) + "}");
    assertEquals(usual + 5, ReleasedTokenizer.ofFolder(released).endOfText());
  }

  @Test
  void theFolderIsShown() throws IOException {
    String model = released.toString();
    List<String> table = ran("inspect", model, "--memory").out().lines().toList();
    assertEquals("released    " + model, table.getFirst());
    assertTrue(table.contains("model       3 layers of width 64, context 256, vocabulary 320"));
    assertTrue(table.stream().anyMatch(line -> line.startsWith("keys_and_values ")));
    List<String> tensors = ran("inspect", model, "--tensors").out().lines().toList();
    assertTrue(
        tensors.getFirst().matches("model.embed_tokens.weight +BF16 +\\[320, 64] +model-0.*"),
        tensors.getFirst());
    assertEquals(3 * (2 + 4 + 1 + 3 * 4) + 2, tensors.size());
    refused("is a released model, which has no manifest", "inspect", model, "--verify");
    Path shard = released.resolve("model-00002-of-00003.safetensors");
    byte[] bytes = Files.readAllBytes(shard);
    Files.write(shard, Arrays.copyOf(bytes, bytes.length - 2));
    refused("if it was cut off on its way, download or copy it again", "inspect", model);
    Files.delete(shard);
    refused(shard + " does not exist", "inspect", model);
  }

  @Test
  void whatNeedsMoreIsRefused() throws IOException {
    String model = released.toString();
    refused("has no tokenizer.json", "generate", "--model", model);
    refused("has no tokenizer.json", "chat", model);
    makeTokenizer();
    String out = folder.resolve("out").toString();
    refused("is a released model", "edit", model, "--drop-layers", "1", "--out", out);
    refused("is a released model", "distill", "--teacher", model, "--out", out);
    assertTrue(Files.notExists(Path.of(out)));
    refused("describes a released model", "train", "--out", model, "--resume", "--steps", "9");
    assertTrue(Files.notExists(released.resolve(".lock")));
    refused("describes a released model", "inspect", model + "/config.json");
  }
}
