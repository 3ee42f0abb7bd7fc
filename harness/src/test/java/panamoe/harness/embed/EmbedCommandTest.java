package panamoe.harness.embed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.engine.Readout;
import panamoe.harness.CommandRun;
import panamoe.open.EmbeddingForm;
import panamoe.open.ModelFolder;
import panamoe.open.StoredWeights;
import panamoe.retrieval.RetrievalFolder;
import panamoe.retrieval.RetrievalGguf;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code embed} and {@code rerank} as a user runs them. */
class EmbedCommandTest {
  @TempDir private Path folder;
  private Path model;

  @BeforeEach
  void makeModel() throws IOException {
    model = Files.createDirectory(folder.resolve("model"));
    RetrievalFolder.write(model, "lasttoken", true);
  }

  private static CommandRun run(Object... line) {
    return CommandRun.of(Arrays.stream(line).map(Object::toString).toArray(String[]::new));
  }

  private static List<JsonNode> passes(Object... line) {
    CommandRun run = run(line);
    assertEquals(0, run.exitCode(), run.err());
    return run.out().lines().map(JsonMapper.shared()::readTree).toList();
  }

  private static void refused(int code, String why, Object... line) {
    CommandRun run = run(line);
    assertEquals(code, run.exitCode(), run.err());
    assertTrue(run.err().contains(why), run.err());
    assertEquals("", run.out());
  }

  private Path file(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text);
  }

  @Test
  void aVectorForEachLine() throws IOException {
    Path plain = file("plain.txt", "the hat\r\nthe cat\n");
    Path objects = file("objects.jsonl", "{\"text\": \"the cat\", \"id\": [7], \"other\": 1}\n");
    List<JsonNode> vectors = passes("embed", model, "--input", plain);
    assertEquals(2, vectors.size());
    assertEquals(1, vectors.get(1).path("index").asInt());
    assertEquals(48, vectors.get(1).path("embedding").size());
    JsonNode same = passes("embed", "--model", model, "--input", objects).getFirst();
    assertEquals(vectors.get(1).get("embedding"), same.get("embedding"));
    assertEquals(7, same.path("id").path(0).asInt());
    List<JsonNode> prompted =
        passes("embed", model, "--input", plain, "--prompt", "query", "--dimensions", "4");
    assertEquals(
        prompted,
        passes(
            "embed",
            model,
            "--input",
            plain,
            "--instruction",
            "Find the hat.",
            "--dimensions",
            "4",
            "--threads",
            "1"));
    assertEquals(4, prompted.getFirst().path("embedding").size());
    assertTrue(
        prompted.getFirst().path("tokens").asInt() > vectors.getFirst().path("tokens").asInt());
  }

  @Test
  void documentsAreSortedByTheirScore() throws IOException {
    Path documents = file("documents.txt", "the cat\non the mat\nthe hat\nno\n");
    Object[] line = {"rerank", model, "--query", "where is the hat", "--documents", documents};
    List<JsonNode> sorted = passes(line);
    assertEquals(4, sorted.size());
    for (int i = 1; i < 4; i++) {
      double before = sorted.get(i - 1).path("score").asDouble();
      assertTrue(before >= sorted.get(i).path("score").asDouble());
    }
    JsonNode best = sorted.getFirst();
    String text = Files.readAllLines(documents).get(best.path("index").asInt());
    assertEquals(text, best.path("document").asString());
    Object[] top = Arrays.copyOf(line, line.length + 2);
    top[line.length] = "--top";
    top[line.length + 1] = "2";
    assertEquals(sorted.subList(0, 2), passes(top));
    Object[] asked = Arrays.copyOf(line, line.length + 2);
    asked[line.length] = "--instruction";
    asked[line.length + 1] = "Find the cat.";
    assertTrue(best.path("score").asDouble() != passes(asked).get(0).path("score").asDouble());
  }

  @Test
  void badInputIsNamed() throws IOException {
    Path plain = file("plain.txt", "the hat\n\nthe cat\n");
    refused(1, "plain.txt, line 2: the text is empty", "embed", model, "--input", plain);
    Path objects = file("objects.jsonl", "{\"text\": \"a\"}\n{\"txt\": \"a\"}\n");
    refused(1, "line 2: expected a JSON object", "embed", model, "--input", objects);
    Path mixed = file("mixed.txt", "the hat\n{\"text\": \"a\"}\n");
    refused(1, "mixed.txt, line 2 is a JSON object", "embed", model, "--input", mixed);
    Path broken = file("broken.jsonl", "{\"text\": \"a\"\n");
    refused(1, "line 1 is not valid JSON", "embed", model, "--input", broken);
    Path none = file("none.txt", "");
    refused(1, "none.txt has no text", "embed", model, "--input", none);
    refused(1, "is a folder", "embed", model, "--input", folder);
    refused(1, "cannot read", "embed", model, "--input", folder.resolve("nowhere"));
    Path good = file("good.txt", "a " + "Q".repeat(40));
    refused(1, "text 0 (counted from 0) has", "embed", model, "--input", good, "--context", 9);
    refused(2, "context is 513, expected 1 to 512", "embed", model, "--context", 513);
    refused(2, "no prompt named title", "embed", model, "--input", good, "--prompt", "title");
    refused(2, "two prompts", "embed", model, "--prompt", "query", "--instruction", "a");
    refused(2, "expected 1 to 48", "embed", model, "--input", good, "--dimensions", "49");
    refused(2, "--top is 0", "rerank", model, "--query", "a", "--top", "0");
    refused(2, "--query", "rerank", model);
    Path encoder = Path.of("..", "lab", "golden", "hf", "switch_a");
    refused(1, "has no tokenizer.json", "embed", encoder, "--input", good);
    Path bert = Files.createDirectory(folder.resolve("bert"));
    Files.writeString(bert.resolve("config.json"), "{\"model_type\": \"bert\"}");
    refused(1, "model_type is bert, an encoder, expected a decoder", "embed", bert);
  }

  /** Without its files, another model would be pooled by the mean. */
  @Test
  void quantizedAndExportedModelsKeepTheForm() throws IOException {
    Path good = file("good.txt", "the hat\n");
    List<JsonNode> expected = passes("embed", model, "--input", good, "--prompt", "query");
    Path hf = folder.resolve("hf");
    assertEquals(0, run("export", model, "--to", "hf", "--out", hf).exitCode());
    assertEquals(expected, passes("embed", hf, "--input", good, "--prompt", "query"));
    JsonNode keys =
        JsonMapper.shared().readTree(Files.readString(hf.resolve("1_Pooling/config.json")));
    assertTrue(keys.path("pooling_mode_lasttoken").asBoolean());
    Path quantized = folder.resolve("quantized");
    Path text = file("text.txt", "The cat sat on the other hat. ".repeat(300));
    CommandRun rounds = run("quantize", model, "--to", "q8_0", "--text", text, "--out", quantized);
    assertEquals(0, rounds.exitCode(), rounds.err());
    JsonNode near = passes("embed", quantized, "--input", good, "--prompt", "query").getFirst();
    double alike = 0;
    for (int i = 0; i < 48; i++) {
      alike +=
          near.path("embedding").path(i).asDouble()
              * expected.getFirst().path("embedding").path(i).asDouble();
    }
    assertEquals(1, alike, 1e-3);
    Path last = folder.resolve("last.gguf");
    Path models = Path.of("..", "lab", "golden", "hf", "qwen3_c");
    RetrievalGguf.write(
        last,
        RetrievalGguf.Kind.LAST,
        ((StoredWeights.Released) ModelFolder.open(models).weights()).model());
    Path again = folder.resolve("again.gguf");
    CommandRun exported = run("export", last, "--to", "gguf", "--out", again);
    assertEquals(0, exported.exitCode(), exported.err());
    assertEquals(Readout.LAST, EmbeddingForm.of(ModelFolder.open(again)).pooling());
  }

  /** sentence-transformers' modules that compute something else are refused by name. */
  @Test
  void otherModulesAreNamed() throws IOException {
    Path good = file("good.txt", "a");
    Path modules = model.resolve("modules.json");
    String before = Files.readString(modules);
    Files.writeString(modules, before.replace("models.Normalize", "models.Dense"));
    refused(1, "has the module Dense, expected", "embed", model, "--input", good);
    Files.writeString(modules, before);
    Path pooling = model.resolve("1_Pooling/config.json");
    String keys = Files.readString(pooling);
    Files.writeString(pooling, keys.replace("max_tokens\": false", "max_tokens\": true"));
    refused(1, "the pooling is lasttoken and max, expected", "embed", model, "--input", good);
    Files.writeString(pooling, "{}");
    refused(1, "the pooling is missing, expected", "embed", model, "--input", good);
  }
}
