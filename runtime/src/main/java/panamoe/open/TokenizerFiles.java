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
 * Where a model's tokenizer, chat template and defaults of sampling are: in files of a folder,
 * which is a released model's, a quantized one's or that of a run, or in the metadata of a GGUF
 * file.
 *
 * @param place the folder, or the GGUF file
 * @param released whether a released model's makers wrote them: then they say which tokens end a
 *     text, and the tokenizer may have fewer tokens than the model
 */
public record TokenizerFiles(Path place, boolean released) {
  /** The tokenizer; absent in a run on bytes. */
  public static final String TOKENIZER = "tokenizer.json";

  /** What ends a released model's texts, and how its makers draw them. */
  public static final String GENERATION = "generation_config.json";

  /** The files that a folder may have. */
  public static final List<String> NAMES =
      List.of(
          TOKENIZER,
          GENERATION,
          ChatTemplate.CONFIG,
          ChatTemplate.FILE,
          "special_tokens_map.json"); // read by transformers alone

  private static final String ENDS = "eos_token_id";
  private static final int MOST_BYTES = 64 << 20;

  /** Of a run or a quantized model: a released model's files are known by {@link #GENERATION}. */
  public static TokenizerFiles of(Path folder) {
    return new TokenizerFiles(folder, Files.isRegularFile(folder.resolve(GENERATION)));
  }

  /**
   * Of a checkpoint.
   *
   * @param path as it was given: the folder of the checkpoint, or of its run
   */
  static TokenizerFiles beside(Path path, Path checkpoint) {
    // A checkpoint lies in <run>/checkpoints/<step>.
    Path run = checkpoint.toAbsolutePath().getParent().getParent();
    boolean ofRun = run != null && !has(path, TOKENIZER) && has(run, TOKENIZER);
    return of(ofRun ? run : path);
  }

  private static boolean has(Path folder, String name) {
    return Files.exists(folder.resolve(name), LinkOption.NOFOLLOW_LINKS);
  }

  /**
   * Reads the tokenizer: bytes of a run without one; empty of a released model without one.
   *
   * @throws CheckpointException if its file is not a regular one
   * @throws panamoe.data.DataException if it cannot be used
   */
  public Optional<Tokenizer> tokenizer() {
    if (ModelFolder.isGguf(place)) {
      return metadata(
          values -> ReleasedTokenizer.ofGguf(values, place.toString()).map(Tokenizer.class::cast));
    }
    Path file = place.resolve(TOKENIZER);
    if (!Files.exists(file)) {
      return released ? Optional.empty() : Optional.of(new ByteTokenizer());
    }
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
   * The form of the model's conversations; empty if it brings no template.
   *
   * @throws panamoe.data.DataException if there is a template that cannot be used
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
   * How the model's makers draw its tokens.
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
   * Files by name for the folder of a run or a quantized model, where they mean what these do here.
   * A GGUF file's metadata become such files. Empty if there is no tokenizer.
   *
   * @throws CheckpointException if a file cannot be read
   */
  public Map<String, byte[]> contents() {
    return contents(released);
  }

  /** The files as a released model's folder has them. */
  public Map<String, byte[]> releasedContents() {
    return contents(true);
  }

  /**
   * @param ends whether {@link #GENERATION} must say what ends a text
   */
  private Map<String, byte[]> contents(boolean ends) {
    Map<String, byte[]> files = ModelFolder.isGguf(place) ? metadata(this::files) : files();
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
