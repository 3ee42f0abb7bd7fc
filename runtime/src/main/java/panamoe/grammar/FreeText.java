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
 * Free text up to one of several markers. Tokens that contain a marker's end and further bytes are
 * not allowed, so that the text after a marker begins with a token. Immutable and thread-safe.
 */
public final class FreeText {
  private static final int OVER = -1;

  private final byte[][] tokens;

  /** Prefixes of markers that the text can end with, the empty one first. Each char is a byte. */
  private final Map<String, Integer> beginnings = new LinkedHashMap<>();

  /** The longest prefix at the end of the text, after a prefix and a byte. */
  private final int[][] after;

  /** Prefixes that are complete markers. */
  private final BitSet whole = new BitSet();

  /** The tokens allowed after each prefix. */
  private final BitSet[] allowed;

  private final int start;

  /**
   * @param markers none is a prefix of another; with {@link Markers}
   * @param before the end of the prompt
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

  /** The prefix at the end of the text after some bytes; OVER if they continue past a marker. */
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

  /** Free text until a marker, then constrained by {@code then}. */
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
