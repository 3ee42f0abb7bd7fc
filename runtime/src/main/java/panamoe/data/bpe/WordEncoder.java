package panamoe.data.bpe;

import java.util.Arrays;

/**
 * Encodes pieces of text and collects their tokens. Words repeat, so a direct-mapped cache keeps
 * the tokens of short ones. Not thread-safe.
 */
final class WordEncoder implements Split.Sink {
  private static final int REMEMBERED_BITS = 15;
  private static final int MAX_REMEMBERED_LENGTH = 48;

  private record Word(char[] text, int[] tokens) {
    boolean is(char[] other, int from, int to) {
      return Arrays.equals(text, 0, text.length, other, from, to);
    }
  }

  private final Model model;
  private final Merger merger;
  private final Word[] remembered = new Word[1 << REMEMBERED_BITS];
  private byte[] utf8 = new byte[256];
  private IntList result = new IntList();

  WordEncoder(Model model) {
    this.model = model;
    merger = new Merger(model.merges());
  }

  void token(int id) {
    result.add(id);
  }

  /** The tokens since the last call. */
  int[] take() {
    int[] tokens = result.toArray();
    result = new IntList();
    return tokens;
  }

  @Override
  public void piece(char[] text, int from, int to) {
    if (to - from > MAX_REMEMBERED_LENGTH) {
      encode(text, from, to);
      return;
    }
    int hash = 0;
    for (int i = from; i < to; i++) {
      hash = 31 * hash + text[i];
    }
    int place = hash * 0x9e3779b9 >>> 32 - REMEMBERED_BITS;
    Word word = remembered[place];
    if (word != null && word.is(text, from, to)) {
      result.add(word.tokens);
      return;
    }
    int before = result.size();
    encode(text, from, to);
    remembered[place] = new Word(Arrays.copyOfRange(text, from, to), result.tail(before));
  }

  private void encode(char[] text, int from, int to) {
    int length = toUtf8(text, from, to);
    Integer whole =
        model.wholeWords().isEmpty()
            ? null
            : model.wholeWords().get(ByteAlphabet.name(utf8, length));
    if (whole != null) {
      result.add(whole);
      return;
    }
    int[] tokens = merger.room(length);
    for (int i = 0; i < length; i++) {
      tokens[i] = model.byteTokens()[utf8[i] & 0xff];
    }
    merger.merge(length, result);
  }

  private int toUtf8(char[] text, int from, int to) {
    if (utf8.length < 3 * (to - from)) {
      utf8 = new byte[3 * (to - from)];
    }
    int length = 0;
    for (int at = from; at < to; at++) {
      int point = text[at];
      if (point < 0x80) {
        utf8[length++] = (byte) point;
        continue;
      }
      if (Character.isHighSurrogate((char) point)) {
        point = Character.toCodePoint((char) point, text[++at]);
        utf8[length++] = (byte) (0xf0 | point >> 18);
        utf8[length++] = (byte) (0x80 | point >> 12 & 0x3f);
      } else if (point < 0x800) {
        utf8[length++] = (byte) (0xc0 | point >> 6);
        utf8[length++] = (byte) (0x80 | point & 0x3f);
        continue;
      } else {
        utf8[length++] = (byte) (0xe0 | point >> 12);
      }
      utf8[length++] = (byte) (0x80 | point >> 6 & 0x3f);
      utf8[length++] = (byte) (0x80 | point & 0x3f);
    }
    return length;
  }
}
