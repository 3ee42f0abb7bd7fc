package panamoe.data.bpe;

import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * Byte-level BPE as a {@code tokenizer.json} describes it: it matches added tokens, normalises the
 * text between them, splits it into pieces, and merges the bytes of each piece to tokens.
 *
 * <p>It supports what released tokenizers of this kind use; reading a file refuses everything else
 * by name. Encoding never fails, and takes at most O(n log n) time for n characters. Thread-safe.
 */
public final class ByteLevelBpe {
  private final Model model;
  private final TextNormalizer normalizer;
  private final PreTokenizer preTokenizer;

  /** Added tokens that are matched before normalisation, and those matched after it. */
  private final AddedTokens raw;

  private final AddedTokens normalized;

  /** Encoders that no thread uses now. */
  private final Queue<Encoder> idle = new ConcurrentLinkedQueue<>();

  private ByteLevelBpe(TokenizerJson json) {
    Model.require(json);
    normalizer = TextNormalizer.of(json.part("normalizer"), json.source);
    preTokenizer = PreTokenizer.of(json.part("pre_tokenizer"), json.source);
    List<AddedToken> added = AddedToken.list(json);
    model = Model.of(json, added);
    raw =
        new AddedTokens(
            added.stream().filter(token -> !token.normalized()).toList(),
            new TextNormalizer(List.of()));
    normalized =
        new AddedTokens(added.stream().filter(AddedToken::normalized).toList(), normalizer);
  }

  /**
   * Reads a tokenizer.
   *
   * @param file its name in messages
   * @throws panamoe.data.DataException if it is not JSON, is incomplete, or has unsupported parts
   */
  public static ByteLevelBpe read(byte[] json, String file) {
    return new ByteLevelBpe(TokenizerJson.read(json, file));
  }

  /**
   * The tokens of a text; a lone surrogate counts as U+FFFD. {@code sought} says which added tokens
   * are matched.
   */
  public int[] encode(String text, Sought sought) {
    Encoder encoder = idle.poll();
    if (encoder == null) {
      encoder = new Encoder();
    }
    int[] tokens = encoder.encode(text, sought);
    idle.add(encoder);
    return tokens;
  }

  /** The bytes of each token, empty for a special one; do not change them. */
  public byte[][] bytes() {
    return model.bytes();
  }

  /** The special tokens by name. */
  public Map<String, Integer> special() {
    return model.special();
  }

  /** The state of one encoding, with its word cache; used by one thread at a time. */
  private final class Encoder {
    private final WordEncoder words = new WordEncoder(model);
    private final Split.Sink pieces = preTokenizer.into(words);

    int[] encode(String text, Sought sought) {
      char[] chars = wellFormed(text);
      raw.split(
          chars,
          0,
          chars.length,
          sought,
          new AddedTokens.Sink() {
            @Override
            public void token(int id) {
              words.token(id);
            }

            @Override
            public void text(char[] part, int from, int to) {
              encodeRest(part, from, to, sought);
            }
          });
      return words.take();
    }

    private void encodeRest(char[] text, int from, int to, Sought sought) {
      char[] normal = text;
      int begin = from;
      int end = to;
      if (normalizer.changes(text, from, to)) {
        normal = normalizer.apply(new String(text, from, to - from)).toCharArray();
        begin = 0;
        end = normal.length;
      }
      normalized.split(
          normal,
          begin,
          end,
          sought,
          new AddedTokens.Sink() {
            @Override
            public void token(int id) {
              words.token(id);
            }

            @Override
            public void text(char[] part, int partFrom, int partTo) {
              pieces.piece(part, partFrom, partTo);
            }
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
