package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.harness.CommandRun;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Commands on a dense model in Qwen3's shape: a run of it, and the released folder made of it. */
class DenseCommandsTest {
  private static final JsonMapper JSON = JsonMapper.shared();
  private static final int STEPS = 3;
  private static final String BLOCK =
      """
      {"attentionNorm": {"kind": "RMS", "epsilon": 1e-6},
       "attention": {"kind": "GROUPED_QUERY", "heads": {"query": 4, "keyValue": 2, "size": 32},
         "biases": {"query": false, "key": false, "value": false, "output": false},
         "queryKeyNorm": {"over": "HEAD", "norm": {"kind": "RMS", "epsilon": 1e-6}},
         "rotary": {"base": 10000, "size": 32, "pairs": "HALVES"},
         "scores": {"mask": "CAUSAL", "window": 0, "sinks": false}},
       "feedForwardNorm": {"kind": "RMS", "epsilon": 1e-6},
       "feedForward": {"kind": "DENSE", "inner": 128, "activation": "SWIGLU", "bias": false}}
      """;

  @TempDir private static Path shared;
  private static Path text;
  private static Path config;
  private static Path run;
  private static Path released;

  @TempDir private Path folder;

  @BeforeAll
  static void trainAndRelease() throws IOException {
    text =
        Files.writeString(
            shared.resolve("text.txt"), "the cat and the dog and the hen ".repeat(600));
    config = TinyRun.config(shared, STEPS);
    ObjectNode root = (ObjectNode) JSON.readTree(config.toFile());
    ObjectNode model = (ObjectNode) root.get("model");
    JsonNode block = JSON.readTree(BLOCK);
    ArrayNode blocks = model.putArray("blocks").add(block).add(block);
    assertEquals(2, blocks.size());
    model.putObject("embedding").put("positions", "NONE");
    model.set("finalNorm", block.get("attentionNorm"));
    JSON.writeValue(config.toFile(), root);
    run = shared.resolve("run");
    ran("train --config " + config + " --text " + text + " --out " + run);
    released = shared.resolve("released");
    ran("export " + run + " --to hf --out " + released);
  }

  private static CommandRun ran(String command) {
    CommandRun run = CommandRun.of(command.split(" "));
    assertEquals(0, run.exitCode(), run.err());
    return run;
  }

  private static JsonNode json(String command) throws IOException {
    return JSON.readTree(ran(command + " --json").out());
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
  void thereAreNoRoutesToRecord() {
    Path file = folder.resolve("routes");
    for (String command : List.of("generate -p a --model ", "serve --port 0 ")) {
      CommandRun refused = CommandRun.of((command + run + " --log-routes " + file).split(" "));
      assertEquals(2, refused.exitCode());
      String why = "--log-routes is for decoders with MoE layers, this model has none";
      assertEquals(1, refused.err().lines().count(), refused.err());
      assertTrue(refused.err().contains(why), refused.err());
    }
    assertTrue(Files.notExists(file));
  }

  @Test
  void aReleasedOneIsTrainedFurtherOverRanks() {
    String further = "train --from " + released + " --text " + text + " --steps 2 --out ";
    ran(further + folder.resolve("alone"));
    ran(further + folder.resolve("data") + " --ranks 2");
    ran(further + folder.resolve("tensor") + " --ranks 2 --tp 2");
    Map<String, float[]> alone = loaded(folder.resolve("alone"));
    for (String others : List.of("data", "tensor")) {
      Map<String, float[]> theirs = loaded(folder.resolve(others));
      alone.forEach(
          (name, values) -> assertArrayEquals(values, theirs.get(name), 1e-4f, others + name));
    }
    assertNotEquals(
        loaded(released).get("final_norm.weight")[0], alone.get("final_norm.weight")[0]);
  }

  @Test
  void aDenseStudentLearnsFromExpertsAndNotTheOtherWayRound() throws IOException {
    Path experts = folder.resolve("experts");
    Path mixture = Files.createDirectory(folder.resolve("mixture"));
    Path shape = TinyRun.config(mixture, STEPS);
    ran("train --config " + shape + " --text " + text + " --out " + experts);
    Path student = folder.resolve("student");
    ran("distill --teacher " + experts + " --config " + config + " --out " + student);
    assertTrue(Files.readString(student.resolve("metrics.jsonl")).contains("divergence"));
    assertEquals(List.of(0, 0), ModelFolder.open(student).config().experts());
    CommandRun reverse =
        CommandRun.of(
            ("distill --teacher " + run + " --config " + shape + " --out " + folder.resolve("no"))
                .split(" "));
    assertEquals(1, reverse.exitCode(), reverse.err());
    assertEquals(1, reverse.err().lines().count(), reverse.err());
    assertTrue(reverse.err().contains("the student has experts and its teacher is dense"));
    assertTrue(Files.notExists(folder.resolve("no")));
  }

  @Test
  void anUpcycledOneTrainsOnAndIsQwen3Moe() throws IOException {
    Path upcycled = folder.resolve("upcycled");
    ran("edit " + run + " --upcycle 4 --moe-layers 0,1 --out " + upcycled);
    ran("train --out " + upcycled + " --resume --steps 2");
    assertEquals(List.of(4, 4), ModelFolder.open(upcycled).config().experts());
    Path hf = folder.resolve("hf");
    Path gguf = folder.resolve("model.gguf");
    ran("export " + upcycled + " --to hf --out " + hf);
    ran("export " + upcycled + " --to gguf --out " + gguf);
    assertEquals(
        "qwen3_moe",
        JSON.readTree(hf.resolve("config.json").toFile()).get("model_type").asString());
    Map<String, float[]> weights = loaded(upcycled);
    for (Path other : List.of(hf, gguf)) {
      Map<String, float[]> theirs = loaded(other);
      weights.forEach((name, values) -> assertArrayEquals(values, theirs.get(name), name));
    }
    ran("train --from " + hf + " --text " + text + " --steps 1 --out " + folder.resolve("again"));
  }

  /** {@code quantize} and {@code --quantize} round attention, MLPs and the vocabulary. */
  @Test
  void itsMatricesAreRounded() throws IOException {
    Path small = folder.resolve("small");
    JsonNode report = json("quantize " + run + " --to int8 --out " + small);
    assertEquals(2 * 6 + 1, report.at("/matrices/q8_0").asInt(), report::toString);
    assertEquals(0, report.get("experts").asInt());
    double before = report.get("bits_per_byte_before").asDouble();
    double after = report.get("bits_per_byte_after").asDouble();
    assertNotEquals(before, after);
    assertEquals(before, after, 1e-3 * before);
    assertEquals(after, json("eval " + small).get("bits_per_byte").asDouble(), 1e-6);
    JsonNode whole = json("inspect " + released + " --memory --quantize none");
    JsonNode rounded = json("inspect " + released + " --memory --quantize int8");
    long layers = 2L * (64 * 32 * (2 * 4 + 2 * 2) + 3 * 64 * 128); // elements of matrices
    long vocabulary = 257 * 64; // one matrix, tied
    assertEquals(
        whole.at("/memory/weights").asLong() - rounded.at("/memory/weights").asLong(),
        (layers + vocabulary) * 2 - (layers + vocabulary) * 34 / 32);
    double loaded =
        json("eval " + run + " --text " + text + " --quantize int8")
            .get("bits_per_byte")
            .asDouble();
    double exact = json("eval " + run + " --text " + text).get("bits_per_byte").asDouble();
    assertNotEquals(exact, loaded);
    assertEquals(exact, loaded, 1e-3 * exact);
    CommandRun words =
        ran("quantize " + run + " --to int4 --measure 0 --out " + folder.resolve("words"));
    assertTrue(words.out().contains("\nmatrices: 1 in q8_0, 12 in q4_0"), words.out());
  }

  @Test
  void itIsPlanned() throws IOException {
    for (String plan : List.of("serve " + released, "train " + released + " --tokens 1e9")) {
      JsonNode plans = json("plan " + plan + " --cluster dgx-a100:2");
      assertTrue(plans.toString().contains("\"expert\":1"), plans::toString);
    }
  }
}
