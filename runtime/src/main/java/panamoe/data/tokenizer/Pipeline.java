package panamoe.data.tokenizer;

import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * Encoding by a {@code tokenizer.json}: matches added tokens, normalises the text between them,
 * splits it into pieces, and encodes each piece by a model: byte-pair encoding over bytes or
 * characters, or Unigram.
 *
 * <p>It supports what released tokenizers of these kinds use; reading refuses everything else by
 * name. Encoding never fails. For n characters it takes O(n log n) by byte pairs, and O(n m) by
 * Unigram, where m is the length of the longest token. Thread-safe.
 */
public final class Pipeline {
  private static final BitSet NOTHING = new BitSet();

  private final Vocabulary vocabulary;
  private final TokenDecoder decoder;
  private final Model model;
  private final TextNormalizer normalizer;
  private final PreTokenizer preTokenizer;
  private final TemplateTokens around;
  private final Map<Integer, String> names = new HashMap<>();

  /** Added tokens that are matched before normalisation, and those matched after it. */
  private final AddedTokens raw;

  private final AddedTokens normalized;

  /** Idle encoders. */
  private final Queue<Encoder> idle = new ConcurrentLinkedQueue<>();

  Pipeline(TokenizerJson json) {
    decoder = TokenDecoder.of(json.part("decoder"), json.source);
    normalizer = TextNormalizer.of(json.part("normalizer"), json.source);
    preTokenizer = PreTokenizer.of(json.part("pre_tokenizer"), decoder.byteLevel(), json.source);
    List<AddedToken> added = AddedToken.list(json);
    vocabulary = Vocabulary.of(json, added, decoder);
    vocabulary.special().forEach((name, token) -> names.put(token, name));
    model = Model.of(json, vocabulary, decoder);
    around = TemplateTokens.of(json);
    for (int[] tokens : new int[][] {around.before(), around.after()}) {
      if (Arrays.stream(tokens).anyMatch(id -> id < 0 || id >= vocabulary.bytes().length)) {
        throw json.source.trouble("has a post-processor with a token that it does not have");
      }
    }
    raw =
        new AddedTokens(
            added.stream().filter(token -> !token.normalized()).toList(), TextNormalizer.NONE);
    normalized =
        new AddedTokens(added.stream().filter(AddedToken::normalized).toList(), normalizer);
  }

  /**
   * Reads a tokenizer.
   *
   * @param file its name, for messages
   * @throws panamoe.io.DataException if it is not JSON, is incomplete, or has unsupported parts
   */
  public static Pipeline read(byte[] json, String file) {
    return new Pipeline(TokenizerJson.read(json, file));
  }

  /** A text's tokens, with the added tokens of {@code sought}; a lone surrogate is U+FFFD. */
  public int[] encode(String text, AddedTokenMatching sought) {
    return encode(text, sought, NOTHING);
  }

  /**
   * The tokens of a text with literal characters.
   *
   * @param literal the positions of characters that belong to no marker
   */
  public int[] encode(String text, AddedTokenMatching sought, BitSet literal) {
    Encoder encoder = idle.poll();
    if (encoder == null) {
      encoder = new Encoder();
    }
    int[] tokens = encoder.encode(text, sought, literal);
    idle.add(encoder);
    return tokens;
  }

  /** The bytes of each token, empty for a special one; do not change them. */
  public byte[][] bytes() {
    return vocabulary.bytes();
  }

  /** The name of a special token; empty for others. */
  public String special(int token) {
    return names.getOrDefault(token, "");
  }

  /** The special tokens by name. */
  public Map<String, Integer> special() {
    return vocabulary.special();
  }

  /** The tokens that the file puts before every prompt; do not change them. */
  public int[] prefix() {
    return around.before();
  }

  /** The tokens that the file puts after a whole text; do not change them. */
  public int[] suffix() {
    return around.after();
  }

  /** Whether a space at the beginning of a decoded text is dropped. */
  public boolean dropsFirstSpace() {
    return decoder.dropsFirstSpace();
  }

  /** The state of one encoding, with its word cache; used by one thread at a time. */
  private final class Encoder {
    private boolean beginsText;
    private final WordEncoder words = new WordEncoder(model);
    private final Split.Sink pieces = preTokenizer.into(model.words(words), () -> beginsText);

    int[] encode(String text, AddedTokenMatching sought, BitSet literal) {
      char[] chars = wellFormed(text);
      raw.split(
          chars,
          0,
          chars.length,
          sought,
          literal,
          words::token,
          (part, from, to) -> encodeRest(part, from, to, sought, literal));
      return words.take();
    }

    private void encodeRest(
        char[] text, int from, int to, AddedTokenMatching given, BitSet marked) {
      char[] normal = text;
      int begin = from;
      int end = to;
      AddedTokenMatching sought = given;
      BitSet literal = marked;
      if (normalizer.changes(text, from, to)) {
        normal = normalizer.apply(new String(text, from, to - from)).toCharArray();
        begin = 0;
        end = normal.length;
        if (!marked.isEmpty()) { // normalisation loses the positions of literal characters
          sought = given == AddedTokenMatching.ALL ? AddedTokenMatching.ALL_BUT_SPECIAL : given;
          literal = NOTHING;
        }
      }
      int first = begin;
      normalized.split(
          normal,
          begin,
          end,
          sought,
          literal,
          words::token,
          (part, partFrom, partTo) -> {
            beginsText = from == 0 && partFrom == first;
            pieces.piece(part, partFrom, partTo);
          });
    }
  }

  /** The characters of a text, with U+FFFD for each lone surrogate. */
  static char[] wellFormed(String text) {
    char[] chars = text.toCharArray();
    for (int at = 0; at < chars.length; at++) {
      if (Character.isSurrogate(chars[at])) {
        if (at + 1 < chars.length && Character.isSurrogatePair(chars[at], chars[at + 1])) {
          at++;
        } else {
          chars[at] = '\ufffd';
        }
      }
    }
    return chars;
  }
}
