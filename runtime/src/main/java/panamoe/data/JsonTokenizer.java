package panamoe.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.IntStream;
import panamoe.data.bpe.ByteLevelBpe;
import panamoe.data.bpe.Sought;
import panamoe.io.FileTrouble;
import panamoe.io.Sha256;

/**
 * A tokenizer from Hugging Face's {@code tokenizer.json}: byte-pair encoding over bytes, which most
 * released models use. Other kinds are refused by name. Thread-safe.
 */
public final class JsonTokenizer implements Tokenizer {
  private static final long MAX_BYTES = 256L << 20;
  private static final List<String> END_OF_TEXT_NAMES =
      List.of(
          "<|endoftext|>",
          "<|end_of_text|>",
          "</s>",
          "<eos>",
          "<|eos|>",
          "<|im_end|>",
          "[EOS]",
          "[SEP]");

  private final ByteLevelBpe bpe;
  private final int[] ends; // the first is that of a document
  private final String sha256;

  private JsonTokenizer(ByteLevelBpe bpe, int[] ends, String sha256) {
    this.bpe = bpe;
    this.ends = ends;
    this.sha256 = sha256;
  }

  /**
   * Loads a file whose end-of-text token has one of the usual names, such as {@code <|endoftext|>}
   * or {@code </s>}.
   *
   * @throws DataException if the file is not a supported tokenizer
   */
  public static JsonTokenizer load(Path file) {
    return load(file, Optional.empty());
  }

  /** Loads a file, with the special token of that name as its end-of-text token. */
  public static JsonTokenizer load(Path file, String endOfText) {
    return load(file, Optional.of(endOfText));
  }

  /**
   * Loads a released model's file.
   *
   * @param ends the tokens that end a text; a document ends with the one of a usual name, else with
   *     the first. Empty to look for the usual names
   */
  public static JsonTokenizer load(Path file, List<Integer> ends) {
    if (ends.isEmpty()) {
      return load(file);
    }
    byte[] json = read(file);
    ByteLevelBpe bpe = ByteLevelBpe.read(json, file.toString());
    for (int end : ends) {
      if (end >= bpe.bytes().length) {
        throw new DataException(
            file
                + " has "
                + bpe.bytes().length
                + " tokens, but token "
                + end
                + " is said to end a text");
      }
    }
    int document =
        END_OF_TEXT_NAMES.stream()
            .map(bpe.special()::get)
            .filter(Objects::nonNull)
            .filter(ends::contains)
            .findFirst()
            .orElse(ends.getFirst());
    int[] documentFirst =
        IntStream.concat(IntStream.of(document), ends.stream().mapToInt(end -> end))
            .distinct()
            .toArray();
    return new JsonTokenizer(bpe, documentFirst, Sha256.hex(json));
  }

  /**
   * Reads the content of a file, as {@link #load(Path)} does.
   *
   * @param name of the file, for messages
   */
  public static JsonTokenizer of(byte[] json, String name) {
    return of(json, name, Optional.empty());
  }

  private static JsonTokenizer load(Path file, Optional<String> endOfText) {
    return of(read(file), file.toString(), endOfText);
  }

  private static JsonTokenizer of(byte[] json, String name, Optional<String> endOfText) {
    ByteLevelBpe bpe = ByteLevelBpe.read(json, name);
    List<String> candidates = endOfText.map(List::of).orElse(END_OF_TEXT_NAMES);
    Integer token =
        candidates.stream()
            .map(bpe.special()::get)
            .filter(Objects::nonNull)
            .findFirst()
            .orElseThrow(
                () ->
                    new DataException(
                        name
                            + " has no special token "
                            + String.join(" or ", candidates)
                            + " to end a text"));
    return new JsonTokenizer(bpe, new int[] {token}, Sha256.hex(json));
  }

  /** Text that spells an added token becomes that token, unless the token is special. */
  @Override
  public int[] encode(String text) {
    return encode(text, Sought.ALL_BUT_SPECIAL);
  }

  /**
   * Encodes a text whose spelled special tokens are meant as such, such as a chat template's
   * prompt.
   */
  public int[] encodeWithSpecialTokens(String text) {
    return encode(text, Sought.ALL);
  }

  int[] encode(String text, Sought sought) {
    return bpe.encode(text, sought);
  }

  @Override
  public byte[] bytesOf(int token) {
    return bpe.bytes()[token];
  }

  @Override
  public int vocabularySize() {
    return bpe.bytes().length;
  }

  @Override
  public int endOfText() {
    return ends[0];
  }

  @Override
  public int[] ends() {
    return ends;
  }

  @Override
  public boolean endsText(int token) {
    for (int end : ends) {
      if (end == token) {
        return true;
      }
    }
    return false;
  }

  @Override
  public String sha256() {
    return sha256;
  }

  private static byte[] read(Path file) {
    try {
      if (!Files.isDirectory(file) && !Files.isRegularFile(file) && Files.exists(file)) {
        throw new DataException("the tokenizer " + file + " is not a regular file");
      }
      if (Files.size(file) > MAX_BYTES) {
        throw new DataException(
            file + " has " + Files.size(file) + " bytes, a tokenizer at most " + MAX_BYTES);
      }
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new DataException(
          "cannot read the tokenizer " + file + ": " + FileTrouble.reason(e), e);
    }
  }
}
