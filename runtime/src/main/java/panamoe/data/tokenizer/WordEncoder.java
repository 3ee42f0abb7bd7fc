package panamoe.data.tokenizer;

import java.util.Arrays;
import panamoe.io.IntList;

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

  private final Model.Encoder encoder;
  private final Word[] remembered = new Word[1 << REMEMBERED_BITS];
  private IntList result = new IntList();

  WordEncoder(Model model) {
    encoder = model.encoder();
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
      encoder.encode(text, from, to, result);
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
    encoder.encode(text, from, to, result);
    remembered[place] = new Word(Arrays.copyOfRange(text, from, to), result.tail(before));
  }
}
