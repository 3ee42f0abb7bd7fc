package panamoe.data.bpe;

import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * Byte-pair encoding over bytes, as a {@code tokenizer.json} describes it: added tokens are found,
 * the text between them is normalised and split into pieces, and the bytes of each piece are merged
 * to tokens.
 *
 * <p>What a file may hold is what released tokenizers of this kind use; the rest is refused by name
 * when it is read. Encoding never fails, and takes at most n log n for a text of n characters.
 * Thread-safe.
 */
public final class ByteLevelBpe {
  private final Model model;
  private final TextNormalizer normalizer;
  private final PreTokenizer preTokenizer;

  /**
   * The added tokens that are looked for before the text is normalised, and those that are after.
   */
  private final AddedTokens raw;

  private final AddedTokens normalized;

  /** What threads that are done encoding leave to those that come. */
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
   * @param file how messages name it
   * @throws panamoe.data.DataException if it is no JSON, no whole tokenizer, or has parts that are
   *     not supported
   */
  public static ByteLevelBpe read(byte[] json, String file) {
    return new ByteLevelBpe(TokenizerJson.read(json, file));
  }

  /**
   * The tokens of a text, a lone surrogate being U+FFFD, where the added tokens that are sought are
   * found as such.
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

  /** The bytes that each token stands for, none for a special one; not to be changed. */
  public byte[][] bytes() {
    return model.bytes();
  }

  /** The tokens that stand for no text, by name. */
  public Map<String, Integer> special() {
    return model.special();
  }

  /** What encodes for one thread at a time, and what it remembers. */
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

    private static char[] wellFormed(String text) {
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
}
