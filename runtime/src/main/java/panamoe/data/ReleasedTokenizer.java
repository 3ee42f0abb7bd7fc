package panamoe.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import panamoe.data.tokenizer.GgufTokenizer;
import panamoe.data.tokenizer.Pipeline;
import panamoe.data.tokenizer.SentencePiece;
import panamoe.data.tokenizer.Tiktoken;
import panamoe.data.tokenizer.TokenizerMetadata;
import panamoe.io.DataException;
import panamoe.io.FileErrors;
import panamoe.io.RegularFile;
import panamoe.io.Sha256;
import panamoe.io.StrictJson;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.MissingNode;

/** Tokenizers of released models, whose first and end tokens are listed in other files. */
public final class ReleasedTokenizer {
  /** Maximum size of a tokenizer's file. */
  static final int MAX_BYTES = 256 << 20;

  private static final String JSON = "tokenizer.json";
  private static final String TIKTOKEN = "tiktoken.model";

  private static final List<String> NAMES =
      List.of(JSON, "tokenizer.model", "spiece.model", TIKTOKEN);

  private ReleasedTokenizer() {}

  /**
   * The tokenizer of a Hugging Face folder: {@code tokenizer.json}, or else SentencePiece's {@code
   * tokenizer.model} or {@code spiece.model}, or Kimi's {@code tiktoken.model}. Its end tokens come
   * from {@code generation_config.json}, or else {@code config.json} or {@code
   * tokenizer_config.json}; the latter also says whether a text begins or ends with a special
   * token.
   *
   * @throws DataException if these are missing or unsupported, or another file contradicts them
   */
  public static JsonTokenizer ofFolder(Path folder) {
    Path file =
        file(folder)
            .orElseThrow(
                () -> new DataException(folder + " has no tokenizer.json or tokenizer.model"));
    byte[] content = read(file, MAX_BYTES);
    Path settings = folder.resolve("tokenizer_config.json");
    JsonNode own = optional(settings);
    Pipeline pipeline =
        switch (file.getFileName().toString()) {
          case JSON -> Pipeline.read(content, file.toString());
          case TIKTOKEN -> Tiktoken.read(content, own, file.toString());
          default -> SentencePiece.read(content, own, file.toString());
        };
    EndTokens ends = new EndTokens(pipeline);
    for (String name : new String[] {"generation_config.json", "config.json"}) {
      Path config = folder.resolve(name);
      for (String at : new String[] {"/eos_token_id", "/text_config/eos_token_id"}) {
        if (ends.isEmpty()) {
          ends.add(optional(config).at(at), config.toString());
        }
      }
    }
    if (ends.isEmpty()) {
      ends.add(name(own.path("eos_token")));
    }
    ends.documentFirst();
    return new JsonTokenizer(
        pipeline,
        ends.all(file.toString()),
        added(own, "bos", pipeline, settings, pipeline.prefix(), new int[0]),
        added(own, "eos", pipeline, settings, pipeline.suffix(), pipeline.suffix()),
        Sha256.hex(content),
        true);
  }

  /** The file of a folder's tokenizer, the first of {@link #NAMES} that exists. */
  public static Optional<Path> file(Path folder) {
    return NAMES.stream().map(folder::resolve).filter(Files::exists).findFirst();
  }

  /**
   * A folder's tokenizer as the content of a {@code tokenizer.json}.
   *
   * @param file see {@link #file}
   * @throws DataException if it is unsupported
   */
  public static byte[] json(Path file) {
    byte[] content = read(file, MAX_BYTES);
    JsonNode own = optional(file.resolveSibling("tokenizer_config.json"));
    return switch (file.getFileName().toString()) {
      case JSON -> content;
      case TIKTOKEN -> Tiktoken.json(content, own, file.toString());
      default -> SentencePiece.json(content, own, file.toString());
    };
  }

  /**
   * The tokenizer in a GGUF file's metadata.
   *
   * @param metadata by key: strings, numbers, Booleans, and lists or arrays of them
   * @param file its name, for messages
   * @return empty if the file says that it has no tokenizer
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
              ends.add("<|endoftext|>"); // Qwen3's files list only the end of a message
              ends.documentFirst();
              return new JsonTokenizer(
                  pipeline,
                  ends.all(file),
                  pipeline.prefix(),
                  pipeline.suffix(),
                  values.sha256(),
                  true);
            });
  }

  /** A GGUF file's chat templates by name; the usual one is {@code default}. */
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

  /**
   * The tokens before or after a text by tokenizer_config.json.
   *
   * @param kind {@code bos} or {@code eos}
   * @param unsaid if it says nothing
   * @param no if it adds none. Tokenizers other than Llama's then keep an end of their own
   */
  private static int[] added(
      JsonNode settings, String kind, Pipeline pipeline, Path file, int[] unsaid, int[] no) {
    JsonNode adds = settings.path("add_" + kind + "_token");
    if (!adds.isBoolean()) {
      return unsaid;
    }
    if (!adds.booleanValue()) {
      return no;
    }
    String name = name(settings.path(kind + "_token"));
    Integer token = pipeline.special().get(name);
    if (token == null) {
      throw new DataException(
          "%s %s texts with '%s', which is no special token of the tokenizer",
          file, kind.equals("bos") ? "begins" : "ends", name);
    }
    return new int[] {token};
  }

  /** A token's name, given as a string or in an object. */
  private static String name(JsonNode token) {
    return token.path("content").asString(token.asString(""));
  }

  /**
   * The content of a JSON file of a model's folder; a missing node if it does not exist.
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
   * The bytes of a regular file of bounded size.
   *
   * @throws DataException if it cannot be read
   */
  public static byte[] read(Path file, int mostBytes) {
    try {
      if (Files.exists(file) && !Files.isRegularFile(file)) {
        throw new DataException(file + " is not a regular file"); // a pipe waits for a writer
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
