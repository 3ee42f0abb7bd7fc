package panamoe.harness.serve.completion;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.stream.IntStream;
import panamoe.data.Tokenizer;

/** Tokens in responses. */
public final class TokenText {
  private TokenText() {}

  /**
   * A token's text; {@code bytes:\xf0\x9f} if its bytes are not UTF-8; {@code token_id:257} if it
   * has none, like a special token. Tokens of different bytes differ.
   */
  public static String of(Tokenizer tokenizer, int token) {
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

  /** A token's bytes as numbers from 0 to 255. */
  public static int[] bytes(Tokenizer tokenizer, int token) {
    byte[] bytes = tokenizer.bytesOf(token);
    return IntStream.range(0, bytes.length).map(i -> bytes[i] & 0xff).toArray();
  }

  /** JSON has no infinity: -9999 stands for probability 0. */
  public static double logprob(double logprob) {
    return Math.max(logprob, -9999);
  }
}
