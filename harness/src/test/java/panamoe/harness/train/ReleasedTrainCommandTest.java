package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.harness.CommandRun;
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
