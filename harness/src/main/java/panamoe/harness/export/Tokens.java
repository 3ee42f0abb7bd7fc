package panamoe.harness.export;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.data.ReleasedTokenizer;
import panamoe.data.Tokenizer;
import panamoe.data.template.ChatTemplate;
import panamoe.data.tokenizer.GgufTokenizer;
import panamoe.data.tokenizer.GgufTokenizerKeys;
import panamoe.data.tokenizer.TokenizerMetadata;
import panamoe.engine.ModelFolder;
import panamoe.io.StrictJson;

/** How a model's tokenizer, and what ends its texts, go with it. */
sealed interface Tokens {
  /** The key of the tokenizer's kind in GGUF. */
  String KIND = "tokenizer.ggml.model";

  /** Of a model as it was opened. */
  static Tokens of(ModelFolder folder, PrintWriter err) {
    if (ModelFolder.isGguf(folder.path())) {
      return folder.hasTokenizer() ? new OfGguf(folder) : new None();
    }
    Optional<Path> file = folder.tokenizerFile();
    if (file.isEmpty()) {
      err.println(
          folder.path() + " has no tokenizer.json: the model is written without a tokenizer");
      return new None();
    }
    return new OfFolder(file.get(), folder.tokenizer());
  }

  /** Adds to the keys of a {@code config.json} what ends a text, unless they say it. */
  void putInto(ObjectNode config);

  /** Writes the files of a folder. */
  void writeTo(Path folder) throws IOException;

  /**
   * Adds a GGUF file's keys.
   *
   * @param vocabulary of the model
   */
  void putInto(GgufWriter writer, int vocabulary) throws IOException;

  /** No tokenizer. */
  record None() implements Tokens {
    @Override
    public void putInto(ObjectNode config) {}

    @Override
    public void writeTo(Path folder) {}

    @Override
    public void putInto(GgufWriter writer, int vocabulary) {
      writer.put(KIND, "no_vocab");
    }
  }

  /**
   * A {@code tokenizer.json}, with the files that may lie beside it.
   *
   * @param tokenizer that was read from it
   */
  record OfFolder(Path file, Tokenizer tokenizer) implements Tokens {
    private static final List<String> BESIDE =
        List.of(
            "tokenizer_config.json",
            "special_tokens_map.json",
            "generation_config.json",
            ChatTemplate.FILE);

    private Path beside(String name) {
      return file.resolveSibling(name);
    }

    private boolean has(String name) {
      return Files.isRegularFile(beside(name), LinkOption.NOFOLLOW_LINKS);
    }

    @Override
    public void putInto(ObjectNode config) {
      putEnds(config, tokenizer);
    }

    @Override
    public void writeTo(Path folder) throws IOException {
      Files.copy(file, folder.resolve(ModelFolder.TOKENIZER));
      for (String name : BESIDE) {
        if (has(name)) {
          Files.copy(beside(name), folder.resolve(name));
        }
      }
      if (!has("generation_config.json")) {
        writeEnds(folder, tokenizer);
      }
    }

    @Override
    public void putInto(GgufWriter writer, int vocabulary) throws IOException {
      Map<String, Object> keys =
          GgufTokenizerKeys.of(Files.readAllBytes(file), file.toString(), vocabulary);
      keys.forEach((key, value) -> writer.put("tokenizer.ggml." + key, value));
      int[] ends = tokenizer.ends();
      writer.put("tokenizer.ggml.eos_token_id", ends[0]);
      if (ends.length > 1) {
        writer.put("tokenizer.ggml.eot_token_id", ends[1]);
      }
      int[] prefix = tokenizer.prefix();
      if (prefix.length > 0) {
        writer.put("tokenizer.ggml.bos_token_id", prefix[0]);
      }
      writer.put("tokenizer.ggml.add_bos_token", prefix.length > 0);
      template().ifPresent(text -> writer.put("tokenizer.chat_template", text));
    }

    private Optional<String> template() throws IOException {
      if (has(ChatTemplate.FILE)) {
        return Optional.of(Files.readString(beside(ChatTemplate.FILE)));
      }
      if (!has(ChatTemplate.CONFIG)) {
        return Optional.empty();
      }
      JsonNode held =
          StrictJson.tree(Files.readAllBytes(beside(ChatTemplate.CONFIG))).path("chat_template");
      return held.isTextual() ? Optional.of(held.textValue()) : Optional.empty();
    }
  }

  /** The tokenizer in a GGUF file's metadata. */
  record OfGguf(ModelFolder model) implements Tokens {
    @Override
    public void putInto(ObjectNode config) {
      putEnds(config, model.tokenizer());
    }

    @Override
    public void writeTo(Path folder) throws IOException {
      try (GgufFile file = GgufFile.open(model.path())) {
        Map<String, ?> values = file.metadata().values();
        TokenizerMetadata metadata = new TokenizerMetadata(values, model.path().toString());
        Files.write(
            folder.resolve(ModelFolder.TOKENIZER), GgufTokenizer.json(metadata).orElseThrow());
        writeEnds(folder, model.tokenizer());
        String template = ReleasedTokenizer.chatTemplates(values).get("default");
        if (template != null) {
          Files.writeString(folder.resolve(ChatTemplate.FILE), template);
        }
      }
    }

    @Override
    public void putInto(GgufWriter writer, int vocabulary) {
      try (GgufFile file = GgufFile.open(model.path())) {
        writer.copy(file.metadata(), "tokenizer.");
      }
    }
  }

  private static void putEnds(ObjectNode config, Tokenizer tokenizer) {
    if (!config.has("eos_token_id")) {
      config.set("eos_token_id", ends(tokenizer));
    }
  }

  private static void writeEnds(Path folder, Tokenizer tokenizer) throws IOException {
    ObjectNode keys = JsonNodeFactory.instance.objectNode();
    keys.set("eos_token_id", ends(tokenizer));
    Files.writeString(folder.resolve("generation_config.json"), keys.toPrettyString() + "\n");
  }

  private static ArrayNode ends(Tokenizer tokenizer) {
    ArrayNode ends = JsonNodeFactory.instance.arrayNode();
    for (int end : tokenizer.ends()) {
      ends.add(end);
    }
    return ends;
  }
}
