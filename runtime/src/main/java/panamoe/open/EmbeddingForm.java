package panamoe.open;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.checkpoint.gguf.GgufMetadata;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.data.ReleasedTokenizer;
import panamoe.data.Tokenizer;
import panamoe.engine.Readout;
import panamoe.io.Require;
import panamoe.io.StrictJson;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * How a model's rows become a text's vector: by sentence-transformers' {@code modules.json} with
 * the files that it names, or by the metadata of a GGUF file.
 *
 * @param pooling which rows are read; the mean where the model names no pooling
 * @param normalized whether the vector's L2 norm is 1
 * @param prompts texts that begin a text for a task, such as a query, by name
 * @param usual the name of the prompt that is taken if the caller names none; null: none
 */
public record EmbeddingForm(
    Readout pooling, boolean normalized, Map<String, String> prompts, String usual) {
  static final String MODULES = "modules.json";
  static final String SETTINGS = "config_sentence_transformers.json";

  private static final String POOLING = "1_Pooling";
  private static final String MODE = "pooling_mode";
  private static final String POOLING_TYPE = ".pooling_type";

  /** sentence-transformers' names of poolings. */
  private static final Map<Readout, String> NAMES =
      Map.of(Readout.LAST, "lasttoken", Readout.MEAN, "mean", Readout.FIRST, "cls");

  /** llama.cpp's numbers of poolings, from 1. */
  private static final List<Readout> NUMBERS = List.of(Readout.MEAN, Readout.FIRST, Readout.LAST);

  /**
   * Reads the form of a model.
   *
   * @throws CheckpointException if it has another pooling or a module that is not supported
   * @throws panamoe.io.DataException if a file is not valid JSON
   */
  public static EmbeddingForm of(ModelFolder folder) {
    Path place = folder.tokenizerFiles().place();
    Integer labels = folder.config().head().labels();
    if (labels != null && labels > 0) {
      throw new CheckpointException(folder.path() + " is a reranker, which has no vectors");
    }
    return stated(place).orElse(new EmbeddingForm(Readout.MEAN, true, Map.of(), null));
  }

  /**
   * The form that a model's files state; empty if they state none.
   *
   * @param place a folder or a GGUF file
   * @throws CheckpointException like {@link #of}
   */
  public static Optional<EmbeddingForm> stated(Path place) {
    if (!ModelFolder.isGguf(place)) {
      return Files.exists(place.resolve(MODULES)) ? Optional.of(ofFolder(place)) : Optional.empty();
    }
    try (GgufFile file = GgufFile.open(place)) {
      GgufMetadata metadata = file.metadata();
      String key = metadata.text("general.architecture") + POOLING_TYPE;
      int type = metadata.contains(key) ? metadata.whole(key, 0, NUMBERS.size() + 1) : 0;
      return type == 0 || type > NUMBERS.size() // none, or of a reranker
          ? Optional.empty()
          : Optional.of(new EmbeddingForm(NUMBERS.get(type - 1), true, Map.of(), null));
    }
  }

  /** Adds llama.cpp's number of the pooling to a file whose architecture is known. */
  public void putInto(GgufWriter writer) {
    String architecture = writer.metadata(Path.of("the file")).text("general.architecture");
    writer.put(architecture + POOLING_TYPE, 1 + NUMBERS.indexOf(pooling));
  }

  /** The content of {@link #MODULES}, with the pooling among the keys of its module. */
  byte[] modules() {
    ArrayNode modules = JsonNodeFactory.instance.arrayNode();
    module(modules, "", "Transformer");
    module(modules, POOLING, "Pooling").put(MODE, NAMES.get(pooling));
    if (normalized) {
      module(modules, "2_Normalize", "Normalize");
    }
    return StrictJson.bytes(modules);
  }

  private static ObjectNode module(ArrayNode modules, String path, String type) {
    int index = modules.size();
    return modules
        .addObject()
        .put("idx", index)
        .put("name", Integer.toString(index))
        .put("path", path)
        .put("type", "sentence_transformers.models." + type);
  }

  /** Writes the module's file that sentence-transformers reads. */
  public void writePooling(Path folder, int hidden) throws IOException {
    ObjectNode keys = JsonNodeFactory.instance.objectNode();
    keys.put("word_embedding_dimension", hidden);
    keys.put("pooling_mode_cls_token", pooling == Readout.FIRST);
    keys.put("pooling_mode_mean_tokens", pooling == Readout.MEAN);
    keys.put("pooling_mode_lasttoken", pooling == Readout.LAST);
    Path module = Files.createDirectory(folder.resolve(POOLING));
    Files.write(module.resolve("config.json"), StrictJson.bytes(keys));
  }

  private static EmbeddingForm ofFolder(Path folder) {
    Path file = folder.resolve(MODULES);
    JsonNode modules = ReleasedTokenizer.optional(file);
    Readout pooling = Readout.MEAN;
    Set<String> types = new TreeSet<>();
    for (JsonNode module : modules) {
      String type = module.path("type").asString("").replaceFirst(".*\\.", "");
      types.add(type);
      switch (type) {
        case "Transformer", "Normalize" -> {}
        case "Pooling" -> pooling = pooling(folder, module);
        default ->
            throw new CheckpointException(
                "%s has the module %s, expected Transformer, Pooling or Normalize", file, type);
      }
    }
    JsonNode settings = ReleasedTokenizer.optional(folder.resolve(SETTINGS));
    Map<String, String> prompts = new LinkedHashMap<>();
    settings.path("prompts").forEachEntry((name, text) -> prompts.put(name, text.asString("")));
    String usual = settings.path("default_prompt_name").asString(null);
    if (usual != null && !prompts.containsKey(usual)) {
      throw new CheckpointException(
          "%s: default_prompt_name is %s, expected one of %s",
          folder.resolve(SETTINGS), usual, prompts.keySet());
    }
    return new EmbeddingForm(pooling, types.contains("Normalize"), prompts, usual);
  }

  private static Readout pooling(Path folder, JsonNode module) {
    String path = module.path("path").asString("");
    if (!path.matches("\\w[\\w-]*")) {
      throw new CheckpointException(
          "%s: the path of Pooling is %s, expected the name of a folder in the model's",
          folder.resolve(MODULES), module.path("path"));
    }
    Path file = folder.resolve(path).resolve("config.json");
    JsonNode keys = module.has(MODE) ? module : ReleasedTokenizer.optional(file);
    Set<String> modes = new TreeSet<>();
    keys.forEachEntry(
        (key, value) -> {
          if (key.startsWith("pooling_mode_") && value.asBoolean(false)) {
            modes.add(key.substring("pooling_mode_".length()).replace("_tokens", ""));
          }
        });
    Optional.ofNullable(keys.path(MODE).asString(null)).ifPresent(modes::add);
    Readout pooling =
        switch (String.join(", ", modes)) {
          case "lasttoken" -> Readout.LAST;
          case "mean" -> Readout.MEAN;
          case "cls", "cls_token" -> Readout.FIRST;
          default ->
              throw new CheckpointException(
                  "%s: the pooling is %s, expected one of lasttoken, mean and cls",
                  file, modes.isEmpty() ? "missing" : String.join(" and ", modes));
        };
    if (pooling == Readout.MEAN && !keys.path("include_prompt").asBoolean(true)) {
      throw new CheckpointException(
          "%s: include_prompt is false, and a mean without the prompt is not supported", file);
    }
    return pooling;
  }

  /**
   * The prompt of a name.
   *
   * @param name null for the usual one
   * @throws IllegalArgumentException if the model has none of this name
   */
  public String prompt(String name) {
    String wanted = name == null ? usual : name;
    String prompt = wanted == null ? "" : prompts.get(wanted);
    if (prompt == null) {
      throw Require.refusal(
          "the model has no prompt named %s, %s",
          wanted,
          prompts.isEmpty() ? "nor any other" : "but " + String.join(", ", prompts.keySet()));
    }
    return prompt;
  }

  /**
   * The tokens of a text with its prompt and those around it.
   *
   * @param prompt before the text; empty for none
   */
  public static int[] tokens(Tokenizer tokenizer, String prompt, String text) {
    return Stream.of(tokenizer.prefix(), tokenizer.encode(prompt + text), tokenizer.suffix())
        .flatMapToInt(Arrays::stream)
        .toArray();
  }

  /** The prompt of a query in the form of Qwen3-Embedding. */
  public static String instruct(String task) {
    return "Instruct: " + task + "\nQuery:";
  }

  /** Refuses more numbers of a vector than the model's width, and none. */
  public static void requireDimensions(int dimensions, int hidden) {
    Require.that(
        dimensions >= 1 && dimensions <= hidden,
        "dimensions is %s, expected 1 to %s, the width of the model",
        dimensions,
        hidden);
  }

  /**
   * The vector of a text.
   *
   * @param read what the model's {@link #pooling} reads, [M]
   * @param dimensions how many of its first numbers are kept
   */
  public float[] vector(float[] read, int dimensions) {
    float[] vector = Arrays.copyOf(read, dimensions);
    double squares = 0;
    for (float value : vector) {
      squares += (double) value * value;
    }
    double norm = normalized && squares > 0 ? Math.sqrt(squares) : 1;
    for (int i = 0; i < vector.length; i++) {
      vector[i] = (float) (vector[i] / norm);
    }
    return vector;
  }
}
