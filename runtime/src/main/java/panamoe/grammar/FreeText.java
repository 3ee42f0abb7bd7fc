package panamoe.grammar;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.engine.sample.TokenConstraint;

/**
 * Free text up to one of some markers. All tokens are allowed but those that hold a marker's end
 * and more bytes after it, so that what follows the marker begins with a token. Immutable and
 * thread-safe.
 */
public final class FreeText {
  private static final int OVER = -1;

  private final byte[][] tokens;

  /** Beginnings of markers, the empty one first: what a text can end with. A byte is a char. */
  private final Map<String, Integer> beginnings = new LinkedHashMap<>();

  /** The longest beginning that a text ends with after one of them and a byte. */
  private final int[][] after;

  /** Whether a beginning is a whole marker. */
  private final BitSet whole = new BitSet();

  /** The tokens that may come after each beginning. */
  private final BitSet[] allowed;

  private final int start;

  /**
   * @param markers none of which begins another one; with {@link Markers}
   * @param before the end of the text so far
   */
  FreeText(Tokenizer tokenizer, List<String> markers, String before) {
    tokens = new byte[tokenizer.vocabularySize()][];
    Arrays.setAll(tokens, token -> Markers.bytes(tokenizer, token));
    beginnings.put("", 0);
    for (String marker : markers) {
      String bytes = new String(Markers.bytes(marker), StandardCharsets.ISO_8859_1);
      for (int length = 1; length <= bytes.length(); length++) {
        beginnings.putIfAbsent(bytes.substring(0, length), beginnings.size());
      }
      whole.set(beginnings.get(bytes));
    }
    after = new int[beginnings.size()][256];
    beginnings.forEach(
        (beginning, index) -> Arrays.setAll(after[index], next -> longest(beginning, next)));
    allowed = new BitSet[after.length];
    for (int i = 0; i < after.length; i++) {
      allowed[i] = new BitSet(tokens.length);
      for (int token = 0; token < tokens.length && !whole.get(i); token++) {
        allowed[i].set(token, after(i, tokens[token]) != OVER);
      }
    }
    start = after(0, Markers.bytes(before));
  }

  private int longest(String beginning, int next) {
    String end = beginning + (char) next;
    Integer found = beginnings.get(end);
    for (int from = 1; found == null; from++) {
      found = beginnings.get(end.substring(from));
    }
    return found;
  }

  /** The beginning that a text ends with after some bytes; OVER if they go over a marker's end. */
  private int after(int beginning, byte[] bytes) {
    int now = beginning;
    for (byte next : bytes) {
      if (whole.get(now)) {
        return OVER;
      }
      now = after[now][next & 0xff];
    }
    return now;
  }

  /** The constraint of a text that is free until a marker, and keeps to another one from there. */
  TokenConstraint until(Supplier<TokenConstraint> then) {
    return new TokenConstraint() {
      private int now = start;
      private TokenConstraint after;

      @Override
      public BitSet allowed() {
        return after == null ? allowed[now] : after.allowed();
      }

      @Override
      public void accept(int token) {
        if (after != null) {
          after.accept(token);
          return;
        }
        now = FreeText.this.after(now, tokens[token]);
        if (whole.get(now)) {
          after = then.get();
        }
      }
    };
  }
}
