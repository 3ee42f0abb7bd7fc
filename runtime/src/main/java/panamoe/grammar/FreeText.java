package panamoe.grammar;

import java.nio.charset.StandardCharsets;
import java.util.BitSet;
import java.util.function.Supplier;
import panamoe.data.Tokenizer;
import panamoe.engine.TokenConstraint;

/**
 * Free text up to a marker. All tokens are allowed but those that hold the marker's end and more
 * bytes after it, so that what follows the marker begins with a token. Immutable and thread-safe.
 */
public final class FreeText {
  private final Tokenizer tokenizer;
  private final byte[] marker;

  /** The tokens that may come after a text that ends with the marker's first i bytes, by i. */
  private final BitSet[] allowed;

  FreeText(Tokenizer tokenizer, String marker) {
    this.tokenizer = tokenizer;
    this.marker = marker.getBytes(StandardCharsets.UTF_8);
    allowed = new BitSet[this.marker.length];
    for (int matched = 0; matched < allowed.length; matched++) {
      allowed[matched] = new BitSet(tokenizer.vocabularySize());
      for (int token = 0; token < tokenizer.vocabularySize(); token++) {
        allowed[matched].set(token, after(matched, token) >= 0);
      }
    }
  }

  /** Bytes of the marker at the text's end after a token; -1 if it goes on after the marker. */
  private int after(int matched, int token) {
    int now = matched;
    for (byte next : tokenizer.bytesOf(token)) {
      if (now == marker.length) {
        return -1;
      }
      now = after(now, next);
    }
    return now;
  }

  /** The longest beginning of the marker that a text ends with after one more byte. */
  private int after(int matched, byte next) {
    for (int length = matched + 1; length > 0; length--) {
      boolean fits = marker[length - 1] == next;
      for (int i = 0; fits && i < length - 1; i++) {
        fits = marker[i] == marker[matched - length + 1 + i];
      }
      if (fits) {
        return length;
      }
    }
    return 0;
  }

  /**
   * The constraint of a text that is free until the marker, and keeps to another one from there.
   */
  TokenConstraint until(Supplier<TokenConstraint> then) {
    return new TokenConstraint() {
      private int matched;
      private TokenConstraint after;

      @Override
      public BitSet allowed() {
        return after == null ? allowed[matched] : after.allowed();
      }

      @Override
      public void accept(int token) {
        if (after != null) {
          after.accept(token);
          return;
        }
        matched = after(matched, token);
        if (matched == marker.length) {
          after = then.get();
        }
      }
    };
  }
}
