package panamoe.data;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.LongStream;
import panamoe.io.FileTrouble;

/** A tokenizer in the {@code tokenizer.json} format of Hugging Face, applied by DJL's binding of its library. */
public final class JsonTokenizer implements Tokenizer {
  private static final long MAX_BYTES = 256L << 20;
  private static final List<String> END_OF_TEXT_NAMES = List.of(
      "<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>", "<|im_end|>", "[EOS]", "[SEP]");

  private final HuggingFaceTokenizer tokenizer;
  private final JsonVocabulary vocabulary;
  private final int endOfText;

  private JsonTokenizer(HuggingFaceTokenizer tokenizer, JsonVocabulary vocabulary, int endOfText) {
    this.tokenizer = tokenizer;
    this.vocabulary = vocabulary;
    this.endOfText = endOfText;
  }

  /**
   * Loads a file whose end-of-text token has one of the usual names, such as {@code <|endoftext|>} or {@code </s>}.
   *
   * @throws DataException if the file is no usable tokenizer
   */
  public static JsonTokenizer load(Path file) {
    return load(file, Optional.empty());
  }

  /** Loads a file, taking the special token of that name as its end-of-text token. */
  public static JsonTokenizer load(Path file, String endOfText) {
    return load(file, Optional.of(endOfText));
  }

  private static JsonTokenizer load(Path file, Optional<String> endOfText) {
    byte[] json = read(file);
    JsonVocabulary vocabulary = JsonVocabulary.parse(json, file.toString());
    List<String> candidates = endOfText.map(List::of).orElse(END_OF_TEXT_NAMES);
    Integer token = candidates.stream().map(vocabulary.special()::get).filter(Objects::nonNull).findFirst()
        .orElseThrow(() -> new DataException(
            file + " has no special token " + String.join(" or ", candidates) + " to end a text"));
    Map<String, String> options = Map.of(
        "addSpecialTokens", "false", "padding", "false", "truncation", "false", "maxLength", "-1");
    try {
      return new JsonTokenizer(
          HuggingFaceTokenizer.newInstance(new ByteArrayInputStream(json), options), vocabulary, token);
    } catch (IOException | RuntimeException | LinkageError e) {
      throw new DataException(file + " is not a usable tokenizer: " + firstLine(e), e);
    }
  }

  /** Encodes the text between and within special tokens apart, so that no part that is encoded holds one whole. */
  @Override
  public int[] encode(String text) {
    String wellFormed = new String(Utf8.bytes(text), StandardCharsets.UTF_8);
    List<int[]> parts = new ArrayList<>();
    int from = 0;
    for (int cut = nextCut(wellFormed, from); cut >= 0; cut = nextCut(wellFormed, from)) {
      parts.add(encodePlain(wellFormed.substring(from, cut)));
      from = cut;
    }
    parts.add(encodePlain(wellFormed.substring(from)));
    return parts.stream().flatMapToInt(Arrays::stream).toArray();
  }

  @Override
  public byte[] bytesOf(int token) {
    return vocabulary.bytes()[token];
  }

  @Override
  public int vocabularySize() {
    return vocabulary.bytes().length;
  }

  @Override
  public int endOfText() {
    return endOfText;
  }

  /** The place after the first character of the next special token; -1 if there is none. */
  private int nextCut(String text, int from) {
    return vocabulary.special().keySet().stream()
        .mapToInt(name -> text.indexOf(name, from))
        .filter(at -> at >= 0)
        .map(at -> at + Character.charCount(text.codePointAt(at)))
        .min().orElse(-1);
  }

  private int[] encodePlain(String text) {
    return text.isEmpty() ? new int[0]
        : LongStream.of(tokenizer.encode(text, false, false).getIds()).mapToInt(Math::toIntExact).toArray();
  }

  private static byte[] read(Path file) {
    try {
      if (!Files.isDirectory(file) && !Files.isRegularFile(file) && Files.exists(file)) {
        throw new DataException("the tokenizer " + file + " is not a regular file");
      }
      if (Files.size(file) > MAX_BYTES) {
        throw new DataException(file + " has " + Files.size(file) + " bytes, a tokenizer at most " + MAX_BYTES);
      }
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new DataException("cannot read the tokenizer " + file + ": " + FileTrouble.reason(e), e);
    }
  }

  private static String firstLine(Throwable e) {
    return String.valueOf(e.getMessage()).lines().findFirst().orElse("");
  }
}
