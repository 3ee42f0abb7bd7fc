package panamoe.data;

import java.nio.file.Path;
import java.util.BitSet;
import java.util.Optional;
import panamoe.data.tokenizer.AddedTokenMatching;
import panamoe.data.tokenizer.Pipeline;
import panamoe.io.DataException;
import panamoe.io.Sha256;

/**
 * A tokenizer from Hugging Face's {@code tokenizer.json}, or from another file converted to it:
 * byte-pair encoding over bytes or characters, or Unigram. Other kinds are refused by name.
 * Thread-safe.
 */
public final class JsonTokenizer implements Tokenizer {
  private final Pipeline pipeline;
  private final int[] ends; // the end of a document first
  private final int[] prefix;
  private final int[] suffix;
  private final String sha256;
  private final boolean released;

  /**
   * @param ends the tokens that end a completion, the end of a document first
   * @param prefix the tokens before every prompt
   * @param suffix the tokens after a whole text
   * @param released whether it came with a released model
   */
  JsonTokenizer(
      Pipeline pipeline, int[] ends, int[] prefix, int[] suffix, String sha256, boolean released) {
    this.pipeline = pipeline;
    this.ends = ends;
    this.prefix = prefix;
    this.suffix = suffix;
    this.sha256 = sha256;
    this.released = released;
  }

  /**
   * Loads a file whose end-of-text token has a common name, such as {@code <|endoftext|>} or {@code
   * </s>}.
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
   * Parses the content of a file, see {@link #load(Path)}.
   *
   * @param name of the file, for messages
   */
  public static JsonTokenizer of(byte[] json, String name) {
    return of(json, name, Optional.empty());
  }

  private static JsonTokenizer load(Path file, Optional<String> endOfText) {
    return of(
        ReleasedTokenizer.read(file, ReleasedTokenizer.MAX_BYTES), file.toString(), endOfText);
  }

  private static JsonTokenizer of(byte[] json, String name, Optional<String> endOfText) {
    Pipeline pipeline = Pipeline.read(json, name);
    int end = EndTokens.document(pipeline, endOfText, name);
    int[] none = {};
    return new JsonTokenizer(pipeline, new int[] {end}, none, none, Sha256.hex(json), false);
  }

  /** Text that spells an added token becomes that token, unless it is special. */
  @Override
  public int[] encode(String text) {
    return encode(text, AddedTokenMatching.ALL_BUT_SPECIAL);
  }

  /** Encodes text in which spelled special tokens become tokens. */
  public int[] encodeWithSpecialTokens(String text) {
    return encode(text, AddedTokenMatching.ALL);
  }

  @Override
  public int[] encodeWithSpecialTokens(String text, BitSet literal) {
    return pipeline.encode(text, AddedTokenMatching.ALL, literal);
  }

  @Override
  public int[] prefix() {
    return prefix;
  }

  @Override
  public int[] suffix() {
    return suffix;
  }

  @Override
  public boolean fits(int vocabulary) {
    int tokens = vocabularySize();
    return tokens == vocabulary || released && tokens < vocabulary;
  }

  @Override
  public int[] ends() {
    return ends;
  }

  @Override
  public Utf8Stream decoding() {
    return new Utf8Stream(pipeline.dropsFirstSpace());
  }

  int[] encode(String text, AddedTokenMatching sought) {
    return pipeline.encode(text, sought);
  }

  @Override
  public byte[] bytesOf(int token) {
    return pipeline.bytes()[token];
  }

  @Override
  public String special(int token) {
    return pipeline.special(token);
  }

  @Override
  public int vocabularySize() {
    return pipeline.bytes().length;
  }

  @Override
  public int endOfText() {
    return ends[0];
  }

  @Override
  public String sha256() {
    return sha256;
  }
}
