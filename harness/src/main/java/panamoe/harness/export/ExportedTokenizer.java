package panamoe.harness.export;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.ByteTokenizer;
import panamoe.data.Tokenizer;
import panamoe.data.tokenizer.GgufTokenizerKeys;
import panamoe.data.tokenizer.TrainedBpe;
import panamoe.io.StrictJson;
import panamoe.open.EmbeddingForm;
import panamoe.open.ModelFolder;
import panamoe.open.TokenizerFiles;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The tokenizer and the end-of-text tokens of an exported model.
 *
 * @param files of the tokenizer by name; empty: none
 */
public record ExportedTokenizer(ModelFolder model, Map<String, byte[]> files) {
  /** From an opened model; a model on bytes gets a byte-pair encoding without merges. */
  public static ExportedTokenizer of(ModelFolder model, PrintWriter err) {
    Map<String, byte[]> files = model.tokenizerFiles().releasedContents();
    if (files.isEmpty() && isOnBytes(model)) {
      ObjectNode generation = JsonNodeFactory.instance.objectNode();
      generation.putArray("eos_token_id").add(model.tokenizer().endOfText());
      files =
          Map.of(
              TokenizerFiles.TOKENIZER,
              TrainedBpe.ofBytes().json(),
              TokenizerFiles.GENERATION,
              StrictJson.bytes(generation));
    }
    if (files.isEmpty()) {
      err.println(
          model.path() + " has no tokenizer.json: the model is written without a tokenizer");
    }
    return new ExportedTokenizer(model, files);
  }

  private static boolean isOnBytes(ModelFolder model) {
    return model
        .tokenizerFiles()
        .tokenizer()
        .filter(own -> own instanceof ByteTokenizer && own.fits(model.config().vocabulary()))
        .isPresent();
  }

  /** Adds the end-of-text tokens to a {@code config.json}, unless it has them. */
  void putInto(ObjectNode config) {
    if (!files.isEmpty() && !config.has("eos_token_id")) {
      ArrayNode ends = config.putArray("eos_token_id");
      Arrays.stream(model.tokenizer().ends()).forEach(ends::add);
    }
  }

  /** Writes the tokenizer's files into a folder. */
  void writeTo(Path folder) throws IOException {
    for (Map.Entry<String, byte[]> file : files.entrySet()) {
      Files.write(folder.resolve(file.getKey()), file.getValue());
    }
    Optional<EmbeddingForm> embedding = files.isEmpty() ? Optional.empty() : form();
    if (embedding.isPresent()) {
      embedding.get().writePooling(folder, model.config().hidden());
    }
  }

  private Optional<EmbeddingForm> form() {
    return EmbeddingForm.stated(model.tokenizerFiles().place());
  }

  /** Adds the pooling, and the tokenizer's GGUF keys, copied if the source is a GGUF file. */
  void putInto(GgufWriter writer) throws IOException {
    form().ifPresent(form -> form.putInto(writer));
    if (files.isEmpty()) {
      writer.put("tokenizer.ggml.model", "no_vocab");
    } else if (ModelFolder.isGguf(model.path())) {
      try (GgufFile file = GgufFile.open(model.path())) {
        writer.copy(file.metadata(), "tokenizer.");
      }
    } else {
      putFiles(writer);
    }
  }

  private void putFiles(GgufWriter writer) throws IOException {
    GgufTokenizerKeys.of(
            files.get(TokenizerFiles.TOKENIZER),
            model.tokenizerFiles().place().resolve(TokenizerFiles.TOKENIZER).toString(),
            model.config().vocabulary())
        .forEach((key, value) -> writer.put("tokenizer.ggml." + key, value));
    Tokenizer tokenizer = model.tokenizer();
    int[] ends = tokenizer.ends();
    int[] suffix = tokenizer.suffix();
    writer.put("tokenizer.ggml.eos_token_id", suffix.length > 0 ? suffix[0] : ends[0]);
    if (ends.length > 1) {
      writer.put("tokenizer.ggml.eot_token_id", ends[1]);
    }
    if (suffix.length > 0) {
      writer.put("tokenizer.ggml.add_eos_token", true);
    }
    int[] prefix = tokenizer.prefix();
    if (prefix.length > 0) {
      writer.put("tokenizer.ggml.bos_token_id", prefix[0]);
    }
    writer.put("tokenizer.ggml.add_bos_token", prefix.length > 0);
    template().ifPresent(text -> writer.put("tokenizer.chat_template", text));
  }

  private Optional<String> template() throws IOException {
    byte[] own = files.get(ChatTemplate.FILE);
    if (own != null) {
      return Optional.of(new String(own, StandardCharsets.UTF_8));
    }
    byte[] config = files.get(ChatTemplate.CONFIG);
    JsonNode held =
        StrictJson.tree(config == null ? "{}".getBytes(StandardCharsets.UTF_8) : config)
            .path("chat_template");
    return held.isString() ? Optional.of(held.stringValue()) : Optional.empty();
  }
}
