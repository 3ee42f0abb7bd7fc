package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.harness.CommandRun;
import panamoe.io.StrictJson;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;
import panamoe.param.Parameter;
import panamoe.tensor.DType;

/** {@code train --from}, on a recorded model whose tokenizer has fewer tokens than its head. */
class ReleasedTrainCommandTest {
  @TempDir private Path folder;
  private Path released;
  private Path text;

  @BeforeEach
  void copyModel() throws IOException {
    released = Files.createDirectory(folder.resolve("model"));
    Path golden = Path.of("../lab/golden/hf/mixtral_b_bf16_sharded");
    try (Stream<Path> files = Files.list(golden)) {
      for (Path file : files.toList()) {
        Files.copy(file, released.resolve(file.getFileName()));
      }
    }
    text =
        Files.writeString(
            folder.resolve("text.txt"), "the cat and the dog and the hen ".repeat(400));
    ran("tokenizer --text " + text + " --vocabulary 270 --out " + released + "/tokenizer.json");
    Files.writeString(released.resolve("generation_config.json"), "{\"eos_token_id\": [0, 5]}");
  }

  private static CommandRun ran(String command) {
    CommandRun run = CommandRun.of(command.split(" "));
    assertEquals(0, run.exitCode(), run.err());
    return run;
  }

  private void refused(String part, String options) throws IOException {
    Path out = folder.resolve("refused");
    String command = "train --text " + text + " --out " + out + " " + options;
    CommandRun run = CommandRun.of(command.split(" "));
    assertTrue(run.exitCode() != 0);
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(run.err().contains(part), run.err());
    assertTrue(Files.notExists(out));
  }

  private static Map<String, float[]> loaded(Path path) {
    try (Backend backend = new ReferenceBackend();
        LanguageModel model = ModelFolder.open(path).load(backend, DType.FLOAT32)) {
      Map<String, float[]> parameters = new TreeMap<>();
      for (Parameter parameter : model.parameters().parameters()) {
        parameters.put(parameter.name(), parameter.value().toFloats());
      }
      return parameters;
    }
  }

  @Test
  void aReleasedModelIsTrainedFurther() throws IOException {
    Path run = folder.resolve("run");
    CommandRun trained =
        ran("train --from " + released + " --text " + text + " --steps 2 --out " + run);
    assertTrue(trained.err().contains("beginning with the weights in " + run), trained.err());
    Map<String, float[]> before = loaded(released);
    Map<String, float[]> first = loaded(run.resolve("checkpoints/step-00000000"));
    Map<String, float[]> last = loaded(run);
    before.forEach((name, values) -> assertArrayEquals(values, first.get(name), name));
    double moved = 0;
    for (Map.Entry<String, float[]> parameter : before.entrySet()) {
      float[] now = last.get(parameter.getKey());
      for (int i = 0; i < now.length; i++) {
        moved = Math.max(moved, Math.abs(now[i] - parameter.getValue()[i]));
      }
    }
    assertTrue(moved > 1e-6 && moved < 1e-3, "the largest step is " + moved);

    // The run has the model's tokenizer and end-of-text tokens, and every command opens it.
    ModelFolder mine = ModelFolder.open(run);
    assertArrayEquals(ModelFolder.open(released).tokenizer().ends(), mine.tokenizer().ends());
    assertTrue(mine.tokenizer().vocabularySize() < mine.config().vocabulary());
    ran("generate --model " + run + " --prompt the --max-tokens 4 --device cpu");
    ran("train --out " + run + " --resume --steps 3");
    Path out = folder.resolve("exported");
    ran("export " + run + " --to hf --out " + out);
    Map<String, float[]> exported = loaded(out);
    loaded(run).forEach((name, values) -> assertArrayEquals(values, exported.get(name), name));
    assertNotEquals(0, Files.size(out.resolve("tokenizer.json")));

    // Settings may change, the shape may not.
    String config = Files.readString(run.resolve("config.json"));
    Path faster = folder.resolve("faster.json");
    Files.writeString(
        faster, config.replace("\"learningRate\" : 2.0E-5", "\"learningRate\" : 0.5"));
    Path again = folder.resolve("again");
    ran("train --from " + released + " --config " + faster + " --text " + text + " --out " + again);
    float[] far = loaded(again).get("final_norm.weight");
    assertNotEquals(last.get("final_norm.weight")[0], far[0], 0.01);
    Path other = folder.resolve("other.json");
    Files.writeString(other, config.replace("\"hidden\" : 64", "\"hidden\" : 32"));
    refused(
        "describes another model than " + released + ": hidden was 64, is 32",
        "--from " + released + " --config " + other);
    refused(run + " is a run; panamoe train --resume", "--from " + run);
  }

  private void writeTemplate() throws IOException {
    Files.writeString(
        released.resolve("chat_template.jinja"),
        "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}"
            + "{% if add_generation_prompt %}assistant:{% endif %}");
  }

  /** The model learns what the assistant says, in its own format; a resumed run goes on with it. */
  @Test
  void conversationsAreTrained() throws IOException {
    writeTemplate();
    Path chats = folder.resolve("chats.jsonl");
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 60; i++) {
      String animal = List.of("cat", "dog", "hen").get(i % 3);
      lines.append(
          """
          {"messages": [{"role": "user", "content": "the %s"}, {"role": "assistant", "content": "and the %s"}]}
          """
              .formatted(animal, animal));
    }
    Files.writeString(chats, lines);
    Path run = folder.resolve("run");
    String command = "train --from " + released + " --chat " + chats + " --context 64 --lr 1e-3";
    ran(command + " --steps 2 --out " + run);
    double before = validation(run);
    ran("train --resume --steps 40 --out " + run);
    assertTrue(validation(run) < before / 2, before + " to " + validation(run));
    String record = Files.readString(run.resolve("text.json"));
    assertTrue(record.contains("\"chat\" : true"), record);

    Path adapted = folder.resolve("adapted");
    ran(command.replace("1e-3", "1e-2") + " --lora 4 --steps 20 --out " + adapted);
    assertTrue(validation(adapted) < before, before + " to " + validation(adapted));
    assertEquals(4, ModelFolder.open(adapted).adapters().rank());
    ran("generate --model " + adapted + " --prompt the --max-tokens 4 --device cpu");

    Files.writeString(chats, lines + lines.substring(0, lines.indexOf("\n") + 1));
    CommandRun changed =
        CommandRun.of("train", "--resume", "--steps", "41", "--out", run.toString());
    assertTrue(changed.err().contains("the text " + chats + " has changed"), changed.err());
    Files.writeString(chats, lines.append("{\"messages\": []}\n"));
    refusedChat("conversation 61: no message of the assistant answers another one", command);
    Files.writeString(
        chats,
        lines
            .toString()
            .replace("{\"messages\": []}\n", "")
            .replace("the hen", "the hen ".repeat(80)));
    refusedChat("give a longer --context, or leave it out", command);
    refusedChat(
        "--context is 100000, expected 1 to ", command.replace("--context 64", "--context 100000"));
    refusedChat("--chat and --dpo train a released model further", "train --chat " + chats);
    refusedChat("--chat holds conversations", command + " --text " + text);
  }

  /** The model learns to prefer an animal; the best checkpoint is kept and opened. */
  @Test
  void pairsOfAnswersAreTrained() throws IOException {
    writeTemplate();
    Path pairs = folder.resolve("pairs.jsonl");
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 20; i++) {
      lines.append(
          """
          {"prompt": "the %s", "chosen": "the cat", "rejected": "the dog"}
          """
              .formatted("hen ".repeat(i % 5 + 1)));
    }
    Files.writeString(pairs, lines);
    Path run = folder.resolve("run");
    String command = "train --from " + released + " --dpo " + pairs + " --context 128 --lr 1e-5";
    String more = " --dpo-beta 0.5 --validation-share 0.2 --evaluate-every 2 --patience 2";
    ran(command + more + " --steps 3 --out " + run);
    double before = validation(run, "validation_loss");
    assertTrue(before < Math.log(2), "the loss is " + before);
    CommandRun resumed = ran("train --resume --steps 8 --out " + run);
    assertTrue(resumed.out().contains("100.0 % of the pairs right on 4 pairs"), resumed.out());
    assertTrue(resumed.out().contains("best: step 8"), resumed.out());
    assertTrue(validation(run, "validation_loss") < before);
    assertEquals(8, ModelFolder.open(run).checkpoint().step());
    String report = Files.readString(run.resolve("report.html"));
    assertTrue(report.contains("best step") && report.contains("Preferences"));
    String record = Files.readString(run.resolve("text.json"));
    assertTrue(record.contains("\"pairs\" : true"), record);
    assertTrue(record.contains("\"validationShare\" : 0.2"), record);
    assertTrue(Files.readString(run.resolve("config.json")).contains("\"beta\" : 0.5"));

    Path adapted = folder.resolve("adapted");
    ran(command + " --lora 4 --targets attention,experts --steps 2 --out " + adapted);
    assertTrue(Files.notExists(adapted.resolve("reference.json")));
    ran("train --resume --steps 4 --out " + adapted);
    ran("generate --model " + adapted + " --prompt the --max-tokens 4 --device cpu");

    Files.writeString(pairs, lines + lines.toString().replace("the dog", "the cat"));
    refusedChat("line 21: the chosen and the rejected answer are equal", command);
    Files.writeString(pairs, lines.toString().replace("hen hen hen", "hen ".repeat(100)));
    refusedChat("pair 3 takes ", command);
    Files.writeString(pairs, lines);
    refusedChat("--dpo-beta goes with --dpo", "train --from " + released + " --dpo-beta 1");
    refusedChat("--dpo holds pairs of answers", command + " --text " + text);
    refusedChat("beta is 0.0, expected a positive float32", command + " --dpo-beta 0");
    refusedChat("--validation-share is 1.0", command + " --validation-share 1");
    refusedChat("goes with --chat or --dpo", "train --validation-share 0.1 --text " + text);
    refusedChat("--patience is 0, expected 1 or more", command + " --patience 0");
  }

  /** With a rate that spoils the model, the first validation stays the best. */
  @Test
  void aRunEndsWhenValidationsAreWorse() throws IOException {
    Path run = folder.resolve("run");
    String command = "train --from " + released + " --text " + text + " --context 64";
    CommandRun ended =
        ran(command + " --lr 1e-1 --steps 40 --evaluate-every 1 --patience 3 --out " + run);
    long best = ModelFolder.open(run).checkpoint().step();
    long last = Files.readAllLines(run.resolve("metrics.jsonl")).size();
    assertTrue(last < 40 && last - best == 3, best + " and " + last);
    assertTrue(ended.out().contains("best: step " + best + ","), ended.out());
    CommandRun again = ran("train --resume --out " + run);
    assertTrue(again.out().startsWith("already complete: " + last + " steps"), again.out());
    ran("generate --model " + run + " --prompt the --max-tokens 4 --device cpu");
  }

  /** With the routes that the engine recorded, a step has the loss that the gates give it. */
  @Test
  void recordedRoutesAreReplayed() throws IOException {
    Files.writeString(
        released.resolve("chat_template.jinja"),
        "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}");
    Path routes = folder.resolve("routes");
    Path prompt = folder.resolve("prompt.txt");
    StringBuilder lines = new StringBuilder();
    for (String animal : List.of("cat", "dog", "hen")) {
      Files.writeString(prompt, "user:the " + animal + "\nassistant:and the " + animal);
      ran("generate --model " + released + " -f " + prompt + " -n 1 --log-routes " + routes);
      lines.append(
          """
          {"messages": [{"role": "user", "content": "the %s"}, {"role": "assistant", "content": "and the %s"}]}
          """
              .formatted(animal, animal));
    }
    Path chats = Files.writeString(folder.resolve("chats.jsonl"), lines.toString().repeat(20));
    String command = "train --from " + released + " --chat " + chats + " --context 64";
    Path run = folder.resolve("run");
    Path replayed = folder.resolve("replayed");
    ran(command + " --steps 1 --out " + run);
    CommandRun told = ran(command + " --steps 1 --routes " + routes + " --out " + replayed);
    assertTrue(told.err().contains("routes: those of 3 sequences in " + routes), told.err());
    assertEquals(loss(run), loss(replayed));
    assertNotEquals(0, loss(run));

    String replay = " --routes " + routes;
    Files.writeString(chats, lines.toString().replace("hen", "pig").repeat(20));
    refusedChat("has the routes of 3 sequences, but of none that", command + replay);
    refusedChat("no such file", command + " --routes " + folder.resolve("none"));
    Path other = folder.resolve("other");
    ran("train --preset tiny --steps 1 --text " + text + " --out " + folder.resolve("tiny"));
    ran("generate --model " + folder.resolve("tiny") + " -p a -n 1 --log-routes " + other);
    refusedChat("has routes of another model", command + " --routes " + other);
    CommandRun mixed =
        CommandRun.of(
            ("generate --model " + released + " -p a -n 1 --log-routes " + other).split(" "));
    assertEquals(1, mixed.exitCode());
    assertEquals(1, mixed.err().lines().count(), mixed.err());
  }

  private static double loss(Path run) throws IOException {
    String metrics = Files.readAllLines(run.resolve("metrics.jsonl")).getFirst();
    return StrictJson.tree(metrics.getBytes(StandardCharsets.UTF_8)).get("loss").doubleValue();
  }

  private static double validation(Path run) throws IOException {
    return validation(run, "validation_bits_per_byte");
  }

  private static double validation(Path run, String name) throws IOException {
    List<String> metrics = Files.readAllLines(run.resolve("metrics.jsonl"));
    String last = metrics.getLast();
    String key = "\"" + name + "\":";
    int at = last.indexOf(key);
    assertTrue(at >= 0, last);
    return Double.parseDouble(last.substring(at + key.length()).split("[,}]")[0]);
  }

  private void refusedChat(String part, String command) {
    Path out = folder.resolve("refused");
    CommandRun run = CommandRun.of((command + " --steps 1 --out " + out).split(" "));
    assertTrue(run.exitCode() != 0);
    assertTrue(run.err().contains(part), run.err());
    assertTrue(Files.notExists(out));
  }

  /** The GGUF metadata become files of the run. */
  @Test
  void aGgufFileIsTrainedFurther() throws IOException {
    Path gguf = Path.of("../lab/golden/gguf/mixtral_text_f16.gguf");
    Path run = folder.resolve("run");
    ran("train --from " + gguf + " --text " + text + " --steps 1 --out " + run);
    Map<String, float[]> first = loaded(run.resolve("checkpoints/step-00000000"));
    loaded(gguf).forEach((name, values) -> assertArrayEquals(values, first.get(name), name));
    ModelFolder theirs = ModelFolder.open(gguf);
    ModelFolder mine = ModelFolder.open(run);
    assertArrayEquals(theirs.tokenizer().ends(), mine.tokenizer().ends());
    assertArrayEquals(theirs.tokenizer().prefix(), mine.tokenizer().prefix());
    String words = "Three rains fell in '98: <s> é 12345";
    assertArrayEquals(theirs.tokenizer().encode(words), mine.tokenizer().encode(words));
    for (String token : new String[] {"bos_token", "eos_token"}) {
      assertEquals(
          theirs.tokenizerFiles().chatTemplate().orElseThrow().token(token),
          mine.tokenizerFiles().chatTemplate().orElseThrow().token(token));
    }
    ran("train --out " + run + " --resume --steps 2");
    refused(run + " is a run; panamoe train --resume", "--from " + run);
  }

  /**
   * A run that was killed while it wrote the model's weights does not continue with random ones.
   */
  @Test
  void aRunWithoutTheModelsWeightsIsNotResumed() throws IOException {
    Path run = folder.resolve("run");
    ran("train --from " + released + " --text " + text + " --steps 1 --out " + run);
    Files.delete(run.resolve("metrics.jsonl"));
    Files.delete(run.resolve("report.html"));
    try (Stream<Path> saved = Files.walk(run.resolve("checkpoints"))) {
      for (Path file : saved.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
    Files.createDirectory(run.resolve("checkpoints"));
    CommandRun resumed = CommandRun.of("train", "--out", run.toString(), "--resume");
    assertEquals(1, resumed.exitCode(), resumed.out());
    assertTrue(resumed.err().contains("has lost the weights that it began with"), resumed.err());
    assertTrue(Files.notExists(run.resolve("metrics.jsonl")));
  }

  @Test
  void aModelWithNaNIsNotTrained() throws IOException {
    Path last = released.resolve("model-00003-of-00003.safetensors");
    byte[] weights = Files.readAllBytes(last);
    weights[weights.length - 2] = (byte) 0xc0;
    weights[weights.length - 1] = 0x7f;
    Files.write(last, weights);
    Path out = folder.resolve("nan");
    CommandRun run =
        CommandRun.of(
            "train", "--from", released.toString(), "--text", text.toString(), "--out", "" + out);
    assertEquals(1, run.exitCode(), run.err());
    assertTrue(run.err().contains("holds NaN or infinite values in "), run.err());
    assertTrue(Files.notExists(out));
  }

  @Test
  void whatContradictsTheModelIsRefused() throws IOException {
    String from = "--from " + released;
    refused("--from uses the model's own shape and tokenizer", from + " --preset tiny");
    refused("--from uses the model's own shape and tokenizer", from + " --vocabulary 300");
    refused("some.gguf does not exist", "--from some.gguf");
    Path small = folder.resolve("small");
    ran("quantize " + released + " --to int8 --measure 0 --text " + text + " --out " + small);
    refused("is a quantized model; begin with the model", "--from " + small);
    Files.delete(released.resolve("tokenizer.json"));
    refused("has no tokenizer.json", from);
  }
}
