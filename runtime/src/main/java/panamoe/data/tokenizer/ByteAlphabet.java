package panamoe.data.tokenizer;

/** GPT-2's byte alphabet: printable bytes are themselves, others are numbered from U+0100. */
final class ByteAlphabet {
  private static final char[] CHARACTERS = new char[256];
  private static final byte[] BYTES = new byte[0x180];
  private static final boolean[] USED = new boolean[BYTES.length];

  static {
    char free = 0x100;
    for (char value = 0; value < 256; value++) {
      boolean printable =
          value >= '!' && value <= '~' || value >= 0xa1 && value <= 0xac || value >= 0xae;
      CHARACTERS[value] = printable ? value : free++;
      BYTES[CHARACTERS[value]] = (byte) value;
      USED[CHARACTERS[value]] = true;
    }
  }

  private ByteAlphabet() {}

  /** The bytes of a name; null if one of its characters is not in the alphabet. */
  static byte[] bytes(String name) {
    byte[] bytes = new byte[name.length()];
    for (int i = 0; i < bytes.length; i++) {
      char c = name.charAt(i);
      if (c >= USED.length || !USED[c]) {
        return null;
      }
      bytes[i] = BYTES[c];
    }
    return bytes;
  }

  /** The name of the first {@code length} bytes. */
  static String name(byte[] bytes, int length) {
    char[] name = new char[length];
    for (int i = 0; i < length; i++) {
      name[i] = CHARACTERS[bytes[i] & 0xff];
    }
    return new String(name);
  }
}
