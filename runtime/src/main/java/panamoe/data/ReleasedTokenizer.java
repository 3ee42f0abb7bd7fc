package panamoe.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import panamoe.data.tokenizer.GgufTokenizer;
import panamoe.data.tokenizer.Pipeline;
import panamoe.data.tokenizer.TokenizerMetadata;
import panamoe.io.FileErrors;
import panamoe.io.RegularFile;
import panamoe.io.Sha256;
import panamoe.io.StrictJson;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.MissingNode;

/** Tokenizers of released models: what begins and ends their texts stands beside the vocabulary. */
public final class ReleasedTokenizer {
  /** Of a tokenizer's file. */
  static final int MAX_BYTES = 256 << 20;

  private ReleasedTokenizer() {}

  /**
   * The tokenizer of a Hugging Face folder: {@code tokenizer.json}; its end tokens from {@code
   * generation_config.json}, or else {@code config.json} or {@code tokenizer_config.json}, which
   * also says whether a text begins with a token of its own.
   *
   * @throws DataException if there is no supported {@code tokenizer.json}, or a file contradicts it
   */
  public static JsonTokenizer ofFolder(Path folder) {
    Path file = folder.resolve("tokenizer.json");
    if (!Files.exists(file)) {
      throw new DataException(
          Files.exists(folder.resolve("tokenizer.model"))
              ? folder + " has a tokenizer.model but no tokenizer.json, which is what is read"
              : folder + " has no tokenizer.json");
    }
    byte[] json = read(file, MAX_BYTES);
    Pipeline pipeline = Pipeline.read(json, file.toString());
    Path settings = folder.resolve("tokenizer_config.json");
    JsonNode own = optional(settings);
    EndTokens ends = new EndTokens(pipeline);
    for (String name : new String[] {"generation_config.json", "config.json"}) {
      Path config = folder.resolve(name);
      if (ends.isEmpty()) {
        ends.add(optional(config).path("eos_token_id"), config.toString());
      }
    }
    if (ends.isEmpty()) {
      ends.add(name(own.path("eos_token")));
    }
    ends.documentFirst();
    return new JsonTokenizer(
        pipeline,
        ends.all(file.toString()),
        prefix(own, pipeline, settings),
        Sha256.hex(json),
        true);
  }

  /**
   * The tokenizer in a GGUF file's metadata.
   *
   * @param metadata by key: texts, numbers, Booleans, and lists or arrays of them
   * @param file its name in messages
   * @return empty if the file says that its model has no tokenizer
   * @throws DataException if the metadata is incomplete or its tokenizer unsupported
   */
  public static Optional<JsonTokenizer> ofGguf(Map<String, ?> metadata, String file) {
    TokenizerMetadata values = new TokenizerMetadata(metadata, file);
    return GgufTokenizer.read(values)
        .map(
            pipeline -> {
              EndTokens ends = new EndTokens(pipeline);
              for (String name : new String[] {"eos", "eot", "eom"}) {
                values.token(name, pipeline.bytes().length).ifPresent(ends::add);
              }
              ends.add("<|endoftext|>"); // Qwen3's files name the end of a message alone
              ends.documentFirst();
              return new JsonTokenizer(
                  pipeline, ends.all(file), pipeline.prefix(), values.sha256(), true);
            });
  }

  /** The texts of a GGUF file's chat templates by name; the usual one's is {@code default}. */
  public static Map<String, String> chatTemplates(Map<String, ?> metadata) {
    String key = "tokenizer.chat_template";
    Map<String, String> templates = new TreeMap<>();
    metadata.forEach(
        (name, value) -> {
          if (value instanceof String text && name.equals(key)) {
            templates.put("default", text);
          } else if (value instanceof String text && name.startsWith(key + ".")) {
            templates.put(name.substring(key.length() + 1), text);
          }
        });
    return templates;
  }

  /** What tokenizer_config.json says of the beginning; the pipeline's own where it says nothing. */
  private static int[] prefix(JsonNode settings, Pipeline pipeline, Path file) {
    JsonNode adds = settings.path("add_bos_token");
    if (!adds.isBoolean()) {
      return pipeline.prefix();
    }
    if (!adds.booleanValue()) {
      return new int[0];
    }
    String name = name(settings.path("bos_token"));
    Integer token = pipeline.special().get(name);
    if (token == null) {
      throw new DataException(
          file + " begins texts with '" + name + "', which is no special token of tokenizer.json");
    }
    return new int[] {token};
  }

  /** A token's name, which stands alone or in an object. */
  private static String name(JsonNode token) {
    return token.path("content").asString(token.asString(""));
  }

  /**
   * The content of a JSON file beside a model's weights; a missing node if there is no such file.
   *
   * @throws DataException if it cannot be read
   */
  public static JsonNode optional(Path file) {
    if (!Files.exists(file)) {
      return MissingNode.getInstance();
    }
    try {
      return StrictJson.tree(read(file, MAX_BYTES));
    } catch (JacksonException e) {
      throw new DataException(file + " is not valid JSON: " + StrictJson.reason(e), e);
    }
  }

  /**
   * The bytes of a file, which is regular and of a bounded size.
   *
   * @throws DataException if it cannot be read
   */
  public static byte[] read(Path file, int mostBytes) {
    try {
      if (Files.exists(file) && !Files.isRegularFile(file)) {
        throw new DataException(file + " is not a regular file"); // a pipe would be waited for
      }
      if (Files.size(file) > mostBytes) {
        throw new DataException("%s has more than %s bytes", file, mostBytes);
      }
      return RegularFile.read(file, mostBytes);
    } catch (IOException e) {
      throw new DataException("cannot read " + file + ": " + FileErrors.reason(e), e);
    }
  }
}
