package panamoe.data;

import panamoe.io.Sha256;

/** A vocabulary of 257 tokens: the 256 byte values of UTF-8, and one for the end of a document. */
public final class ByteTokenizer implements Tokenizer {
  private static final int BYTES = 256;

  /** The vocabulary size. */
  public static final int SIZE = BYTES + 1;

  private static final byte[] NONE = {};

  private final byte[][] bytes = new byte[BYTES][];

  public ByteTokenizer() {
    for (int value = 0; value < BYTES; value++) {
      bytes[value] = new byte[] {(byte) value};
    }
  }

  @Override
  public int[] encode(String text) {
    byte[] utf8 = Utf8.bytes(text);
    int[] tokens = new int[utf8.length];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = utf8[i] & 0xff;
    }
    return tokens;
  }

  @Override
  public byte[] bytesOf(int token) {
    return token == endOfText() ? NONE : bytes[token];
  }

  @Override
  public int vocabularySize() {
    return BYTES + 1;
  }

  @Override
  public int endOfText() {
    return BYTES;
  }

  @Override
  public String sha256() {
    return Sha256.hex(Sha256.digest());
  }
}
