package panamoe.open;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.SavedFile;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.ByteTokenizer;
import panamoe.data.JsonTokenizer;
import panamoe.data.ReleasedTokenizer;
import panamoe.data.Tokenizer;
import panamoe.data.tokenizer.GgufTokenizer;
import panamoe.data.tokenizer.TokenizerMetadata;
import panamoe.io.RegularFile;
import panamoe.io.StrictJson;
import panamoe.model.family.Keys;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * A model's tokenizer, chat template and sampling defaults: files of a released, quantized or
 * trained model's folder, or a GGUF file's metadata.
 *
 * @param place the folder, or the GGUF file
 * @param released whether they come from a released model: its end tokens are listed in separate
 *     files, and the tokenizer may have fewer tokens than the model
 */
public record TokenizerFiles(Path place, boolean released) {
  /** The tokenizer; absent in a run on bytes. */
  public static final String TOKENIZER = "tokenizer.json";

  /** A released model's end tokens and sampling defaults. */
  public static final String GENERATION = "generation_config.json";

  /** The files that a folder may have. */
  public static final List<String> NAMES =
      List.of(
          TOKENIZER,
          GENERATION,
          ChatTemplate.CONFIG,
          ChatTemplate.FILE,
          EmbeddingForm.MODULES,
          EmbeddingForm.SETTINGS,
          "special_tokens_map.json"); // for transformers only

  private static final String ENDS = "eos_token_id";
  private static final int MOST_BYTES = 64 << 20;

  /** The files of a run or a quantized model; {@link #GENERATION} marks released ones. */
  public static TokenizerFiles of(Path folder) {
    return new TokenizerFiles(folder, Files.isRegularFile(folder.resolve(GENERATION)));
  }

  /**
   * The files of a checkpoint.
   *
   * @param path that was given: the folder of the checkpoint, or of its run
   */
  static TokenizerFiles ofCheckpoint(Path path, Path checkpoint) {
    // A checkpoint lies in <run>/checkpoints/<step>.
    Path run = checkpoint.toAbsolutePath().getParent().getParent();
    boolean ofRun = run != null && !has(path, TOKENIZER) && has(run, TOKENIZER);
    return of(ofRun ? run : path);
  }

  private static boolean has(Path folder, String name) {
    return Files.exists(folder.resolve(name), LinkOption.NOFOLLOW_LINKS);
  }

  /**
   * Reads the tokenizer; without a file bytes for a run, empty for a released model.
   *
   * @throws CheckpointException if its file is not a regular one
   * @throws panamoe.io.DataException if it cannot be used
   */
  public Optional<Tokenizer> tokenizer() {
    if (ModelFolder.isGguf(place)) {
      return metadata(
          values -> ReleasedTokenizer.ofGguf(values, place.toString()).map(Tokenizer.class::cast));
    }
    if (ReleasedTokenizer.file(place).isEmpty()) {
      return released ? Optional.empty() : Optional.of(new ByteTokenizer());
    }
    Path file = ReleasedTokenizer.file(place).get();
    if (!Files.isRegularFile(file)) { // reading a pipe would wait for a writer
      throw new CheckpointException(file + " is not a regular file");
    }
    return Optional.of(released ? ReleasedTokenizer.ofFolder(place) : JsonTokenizer.load(file));
  }

  private <T> T metadata(Function<Map<String, ?>, T> reader) {
    try (GgufFile file = GgufFile.open(place)) {
      return reader.apply(file.metadata().values());
    }
  }

  /**
   * The model's own chat template; empty if it has none.
   *
   * @throws panamoe.io.DataException if the template cannot be used
   */
  public Optional<ChatTemplate> chatTemplate() {
    return ModelFolder.isGguf(place)
        ? metadata(values -> ChatTemplate.ofGguf(values, place.toString()))
        : ChatTemplate.in(place);
  }

  /** A template in another file, with this model's special tokens. */
  public ChatTemplate chatTemplate(Path file) {
    JsonNode config =
        ModelFolder.isGguf(place) ? metadata(ChatTemplate::config) : ChatTemplate.config(place);
    return ChatTemplate.read(RegularFile.named(file), config);
  }

  /**
   * The publisher's sampling defaults.
   *
   * @throws CheckpointException if {@link #GENERATION} is wrong
   */
  public SamplingDefaults sampling() {
    return generation()
        .map(values -> SamplingDefaults.of(new Keys(place.resolve(GENERATION), values)))
        .orElse(SamplingDefaults.NONE);
  }

  private Optional<ObjectNode> generation() {
    return has(place, GENERATION)
        ? Optional.of(SavedFile.object(place.resolve(GENERATION), MOST_BYTES))
        : Optional.empty();
  }

  /**
   * The files by name, for the folder of a run or a quantized model made from this one. A GGUF
   * file's metadata become such files. Empty without a tokenizer.
   *
   * @throws CheckpointException if a file cannot be read
   */
  public Map<String, byte[]> contents() {
    return contents(released);
  }

  /** The files as in a released model's folder. */
  public Map<String, byte[]> releasedContents() {
    return contents(true);
  }

  /**
   * @param ends whether {@link #GENERATION} must list the end tokens
   */
  private Map<String, byte[]> contents(boolean ends) {
    Map<String, byte[]> files = ModelFolder.isGguf(place) ? metadata(this::files) : files();
    EmbeddingForm.stated(place).ifPresent(form -> files.put(EmbeddingForm.MODULES, form.modules()));
    if (!files.containsKey(TOKENIZER)) {
      return Map.of();
    }
    ObjectNode generation = generation().orElseGet(JsonNodeFactory.instance::objectNode);
    if (ends && !generation.hasNonNull(ENDS)) {
      ArrayNode tokens = generation.putArray(ENDS);
      Arrays.stream(tokenizer().orElseThrow().ends()).forEach(tokens::add);
      files.put(GENERATION, StrictJson.bytes(generation));
    }
    return files;
  }

  private Map<String, byte[]> files() {
    Map<String, byte[]> files = new LinkedHashMap<>();
    for (String name : NAMES) {
      try {
        if (has(place, name)) {
          files.put(name, RegularFile.read(place.resolve(name), MOST_BYTES));
        }
      } catch (IOException e) {
        throw CheckpointException.unread(place.resolve(name), e);
      }
    }
    if (has(place, ChatTemplate.OF_PROCESSOR)) { // its template goes where others have theirs
      files.put(ChatTemplate.CONFIG, StrictJson.bytes(ChatTemplate.config(place)));
    }
    if (!files.containsKey(TOKENIZER)) { // SentencePiece's file is converted
      ReleasedTokenizer.file(place)
          .ifPresent(file -> files.put(TOKENIZER, ReleasedTokenizer.json(file)));
    }
    return files;
  }

  private Map<String, byte[]> files(Map<String, ?> metadata) {
    Map<String, byte[]> files = new LinkedHashMap<>();
    GgufTokenizer.json(new TokenizerMetadata(metadata, place.toString()))
        .ifPresent(json -> files.put(TOKENIZER, json));
    files.put(ChatTemplate.CONFIG, StrictJson.bytes(ChatTemplate.config(metadata)));
    return files;
  }
}
