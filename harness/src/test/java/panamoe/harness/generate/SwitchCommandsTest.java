package panamoe.harness.generate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.CommandRun;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The commands on a model with an encoder. */
class SwitchCommandsTest {
  private static final JsonMapper MAPPER = JsonMapper.shared();
  private static final String PROMPT = "the cat and the dog and the hen";

  @TempDir private Path folder;
  private Path released;

  @BeforeEach
  void copyModel() throws IOException {
    released = folder.resolve("model");
    Files.createDirectory(released);
    Path golden = Path.of("../lab/golden/hf/switch_a");
    for (String name : List.of("config.json", "model.safetensors")) {
      Files.copy(golden.resolve(name), released.resolve(name));
    }
    Files.writeString(released.resolve("tokenizer.json"), tokenizer().toString());
  }

  /** In T5's form: special tokens, a space, letters, and pairs of letters, 256 in total. */
  private static ObjectNode tokenizer() {
    ObjectNode json = MAPPER.createObjectNode().put("version", "1.0");
    ArrayNode added = json.putArray("added_tokens");
    ObjectNode model = json.putObject("model").put("type", "Unigram").put("unk_id", 2);
    model.put("byte_fallback", false);
    ArrayNode vocabulary = model.putArray("vocab");
    for (String name : List.of("<pad>", "</s>", "<unk>")) {
      ObjectNode token = added.addObject().put("id", vocabulary.size()).put("content", name);
      token.put("special", true).put("single_word", false).put("lstrip", false);
      token.put("rstrip", false).put("normalized", false);
      vocabulary.addArray().add(name).add(0);
    }
    for (String first : ("\u2581 a b c d e f g h i j k l m n o p q r s t u v w x y z").split(" ")) {
      vocabulary.addArray().add(first).add(-3);
    }
    for (int pair = 0; vocabulary.size() < 256; pair++) {
      String name = "" + (char) ('a' + pair / 26) + (char) ('a' + pair % 26);
      vocabulary.addArray().add(name).add(-7);
    }
    ObjectNode space = json.putObject("pre_tokenizer").put("type", "Metaspace");
    space.put("replacement", "\u2581").put("prepend_scheme", "always").put("split", true);
    json.set("decoder", space);
    json.putNull("truncation").putNull("padding").putNull("normalizer").putNull("post_processor");
    return json;
  }

  private static CommandRun ran(String... arguments) {
    CommandRun run = CommandRun.of(arguments);
    assertEquals(0, run.exitCode(), run.err());
    return run;
  }

  private static void refused(String part, String... arguments) {
    CommandRun run = CommandRun.of(arguments);
    assertNotEquals(0, run.exitCode());
    assertTrue(run.err().contains(part), run.err());
  }

  private String[] generate(String... more) {
    List<String> all = new ArrayList<>(List.of("generate", "--model", released.toString()));
    all.addAll(List.of("--prompt", PROMPT, "--max-tokens", "9", "--temperature", "0"));
    all.addAll(List.of("--device", "cpu", "--dtype", "f32"));
    all.addAll(List.of(more));
    return all.toArray(String[]::new);
  }

  @Test
  void aTextIsAnswered() throws IOException {
    JsonNode answer = MAPPER.readTree(ran(generate("--json")).out());
    assertEquals(PROMPT, answer.get("prompt").asString());
    assertTrue(answer.get("tokens").asInt() > 0);
    CommandRun printed = ran(generate());
    assertEquals(answer.get("text").asString(), printed.out().stripTrailing());
    assertFalse(printed.out().contains(PROMPT), "an answer does not go on with the prompt");
    // 31 tokens exceed the capacity 4 of each of 4 experts.
    JsonNode dropped = MAPPER.readTree(ran(generate("--json", "--switch-capacity")).out());
    assertNotEquals(answer.get("text"), dropped.get("text"));
  }

  @Test
  void itsEncoderIsShown() {
    List<String> table = ran("inspect", released.toString()).out().lines().toList();
    assertTrue(table.contains("encoder     4 layers"), table.toString());
    assertTrue(
        table.contains("decoder     every layer also attends to the encoded text"),
        table.toString());
    assertEquals(8, table.stream().filter(line -> line.startsWith("layer ")).count());
  }

  @Test
  void whatItCannotDoIsRefused() throws IOException {
    String model = released.toString();
    refused("it takes one prompt, not a conversation", "chat", model);
    String text = Files.writeString(folder.resolve("text.txt"), PROMPT.repeat(9)).toString();
    refused("neither trained nor given a loss", "eval", model, "--text", text);
    refused("runs on one rank, not on 2", generate("--ranks", "2"));
    String out = folder.resolve("out").toString();
    refused("only models of a decoder alone", "quantize", model, "--to", "int8", "--out", out);
    refused("needs a checkpoint of a run", "edit", model, "--drop-layers", "1", "--out", out);
    refused(
        "GGUF files of switch_transformers are not written here",
        "export",
        model,
        "--to",
        "gguf",
        "--out",
        out + ".gguf");
    refused("--guesses would change a completion", generate("--switch-capacity", "--guesses", "2"));
    Path mixtral = Path.of("../lab/golden/hf/mixtral_b_bf16_sharded");
    String[] capacity = {"generate", "--model", mixtral.toString(), "--switch-capacity"};
    refused("only Switch models can be asked to drop tokens", capacity);
    Path config = released.resolve("config.json");
    ObjectNode keys = (ObjectNode) MAPPER.readTree(config.toFile());
    Files.writeString(config, keys.put("num_layers", 5).toString());
    refused("encoder.block.4.layer.0.SelfAttention.q.weight", generate());
    Files.writeString(config, keys.put("num_layers", 3).toString());
    refused("unexpected encoder.block.3.layer.0.SelfAttention.k.weight", generate());
    Files.writeString(config, keys.put("num_layers", 4).put("new_trick", true).toString());
    refused("new_trick, which is not known here", generate());
  }
}
