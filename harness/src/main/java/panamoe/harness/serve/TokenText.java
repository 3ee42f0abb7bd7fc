package panamoe.harness.serve;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.stream.IntStream;
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
      return "bytes:" + HexFormat.of().withPrefix("\\x").formatHex(bytes);
    }
  }

  /** Its bytes as numbers of 0 to 255. */
  static int[] bytes(Tokenizer tokenizer, int token) {
    byte[] bytes = tokenizer.bytesOf(token);
    return IntStream.range(0, bytes.length).map(i -> bytes[i] & 0xff).toArray();
  }

  /** JSON has no infinity: a token that could not be drawn has -9999. */
  static double logprob(double logprob) {
    return Math.max(logprob, -9999);
  }
}
