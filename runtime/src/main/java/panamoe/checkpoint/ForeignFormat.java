package panamoe.checkpoint;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;

/** File formats that are often mistaken for safetensors, recognised by their first bytes. */
public enum ForeignFormat {
  ZIP("a zip archive, perhaps of PyTorch", new byte[] {'P', 'K', 3, 4}),
  PICKLE(
      "a Python pickle",
      new byte[] {(byte) 0x80, 2},
      new byte[] {(byte) 0x80, 3},
      new byte[] {(byte) 0x80, 4},
      new byte[] {(byte) 0x80, 5}),
  GZIP("a gzip file", new byte[] {0x1f, (byte) 0x8b}),
  GGUF("a GGUF file", ascii("GGUF")),
  LFS_POINTER(
      "a Git LFS pointer; fetch the file itself by 'git lfs pull'",
      ascii("version https://git-lfs")),
  HTML("an HTML page", ascii("<!DOCTYPE"), ascii("<!doctype"), ascii("<html"), ascii("<HTML"));

  /** The number of first bytes that {@link #of} needs. */
  public static final int PREFIX_BYTES = 32;

  private final String description;
  private final byte[][] magics;

  ForeignFormat(String description, byte[]... magics) {
    this.description = description;
    this.magics = magics;
  }

  /** The format's description, with an article. */
  public String description() {
    return description;
  }

  /**
   * The format of a file that begins with these bytes; empty if it is not listed here. The two-byte
   * magics of pickle and gzip can also begin the header length of a safetensors file, so a file
   * with '{' as byte 8 counts as safetensors.
   */
  public static Optional<ForeignFormat> of(byte[] prefix) {
    if (prefix.length > Long.BYTES && prefix[Long.BYTES] == '{') {
      return Optional.empty();
    }
    return Arrays.stream(values()).filter(format -> format.begins(prefix)).findFirst();
  }

  private boolean begins(byte[] prefix) {
    return Arrays.stream(magics)
        .anyMatch(
            magic ->
                prefix.length >= magic.length
                    && Arrays.equals(prefix, 0, magic.length, magic, 0, magic.length));
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
