package panamoe.grammar;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import panamoe.data.Tokenizer;

/**
 * The 256 bytes, pieces of JSON cut anywhere, some of them twice, and special tokens: pieces cross
 * the ends of strings and end within characters and escapes.
 */
final class PieceTokenizer implements Tokenizer {
  private static final byte[] TEXT =
      """
      {"a": 1, "b":[true, null,false],"key 1": "été 😀\\ud83d\\ude00\\n\\"", "c": {"a": {}}, "d": [[], {}]}]}]]
      ["a","b"], -12.5e+3, 100, "x", "aaaaaaaaaaaaaaaaaaaaaaaa", "v": null}, {"v": 7, "next": {"v":"k"}}
      """
          .getBytes(UTF_8);

  private final List<byte[]> tokens = new ArrayList<>();

  PieceTokenizer(Random random, int pieces) {
    for (int value = 0; value < 256; value++) {
      tokens.add(new byte[] {(byte) value});
    }
    tokens.add(new byte[0]);
    for (int i = 0; i < pieces; i++) {
      int from = random.nextInt(TEXT.length - 20);
      tokens.add(Arrays.copyOfRange(TEXT, from, from + random.nextInt(1, 20)));
    }
    tokens.add(new byte[0]);
  }

  @Override
  public int[] encode(String text) {
    byte[] bytes = text.getBytes(UTF_8);
    int[] ids = new int[bytes.length];
    Arrays.setAll(ids, i -> bytes[i] & 0xff);
    return ids;
  }

  @Override
  public byte[] bytesOf(int token) {
    return tokens.get(token);
  }

  @Override
  public int vocabularySize() {
    return tokens.size();
  }

  @Override
  public int endOfText() {
    return tokens.size() - 1;
  }

  @Override
  public String sha256() {
    return "";
  }
}
