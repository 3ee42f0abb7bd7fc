package panamoe.harness.serve;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import panamoe.data.Tokenizer;

/** A token as answers show it. */
final class TokenText {
  private TokenText() {}

  /**
   * Its text; where its bytes are no text, {@code bytes:\xf0\x9f}; where it has none, as a special
   * token, {@code token_id:257}. So no two tokens of different bytes look alike.
   */
  static String of(Tokenizer tokenizer, int token) {
    byte[] bytes = tokenizer.bytesOf(token);
    if (bytes.length == 0) {
      return "token_id:" + token;
    }
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException _) {
      StringBuilder text = new StringBuilder("bytes:");
      for (byte value : bytes) {
        text.append("\\x")
            .append(Character.forDigit(value >> 4 & 15, 16))
            .append(Character.forDigit(value & 15, 16));
      }
      return text.toString();
    }
  }

  /** Its bytes as numbers of 0 to 255. */
  static int[] bytes(Tokenizer tokenizer, int token) {
    byte[] bytes = tokenizer.bytesOf(token);
    int[] numbers = new int[bytes.length];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = bytes[i] & 0xff;
    }
    return numbers;
  }

  /** JSON has no infinity: a token that could not be drawn has -9999. */
  static double logprob(double logprob) {
    return Math.max(logprob, -9999);
  }
}
