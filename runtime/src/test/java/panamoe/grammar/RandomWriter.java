package panamoe.grammar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.ByteArrayOutputStream;
import java.util.BitSet;
import java.util.Random;
import panamoe.data.Tokenizer;
import panamoe.engine.sample.TokenConstraint;

/**
 * Generates under a constraint with random allowed tokens. After some tokens it prefers those that
 * end something, so that the output ends.
 */
record RandomWriter(Tokenizer tokenizer, Random random, int patience) {
  private static final int MOST = 20_000;
  private static final byte[] ENDINGS = {'"', '}', ']', 'l', 'e'};

  /** A complete output; null if it does not end. */
  byte[] write(TokenConstraint constraint) {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    for (int written = 0; written < MOST; written++) {
      BitSet allowed = constraint.allowed();
      assertFalse(allowed.isEmpty(), () -> "nothing is allowed after " + text);
      int token = choose(allowed, written);
      if (token == tokenizer.endOfText()) {
        return text.toByteArray();
      }
      byte[] bytes = tokenizer.bytesOf(token);
      assertFalse(bytes.length == 0, "a special token");
      text.writeBytes(bytes);
      constraint.accept(token);
    }
    return null;
  }

  private int choose(BitSet allowed, int written) {
    assertEquals(allowed.length(), Math.min(allowed.length(), tokenizer.vocabularySize()));
    if (written >= patience) {
      if (allowed.get(tokenizer.endOfText())) {
        return tokenizer.endOfText();
      }
      for (int token = allowed.nextSetBit(0); token >= 0; token = allowed.nextSetBit(token + 1)) {
        byte[] bytes = tokenizer.bytesOf(token);
        for (byte ending : ENDINGS) {
          if (bytes.length == 1 && bytes[0] == ending && random.nextInt(4) > 0) {
            return token;
          }
        }
      }
    }
    int skip = random.nextInt(allowed.cardinality());
    int token = allowed.nextSetBit(0);
    for (; skip > 0; skip--) {
      token = allowed.nextSetBit(token + 1);
    }
    return token;
  }
}
