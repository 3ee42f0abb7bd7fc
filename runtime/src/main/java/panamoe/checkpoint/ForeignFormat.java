package panamoe.checkpoint;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;

/** Recognises, by their first bytes, files that people take for safetensors files. */
enum ForeignFormat {
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

  /** As many first bytes as {@link #of} looks at. */
  static final int PREFIX_BYTES = 32;

  private final String description;
  private final byte[][] magics;

  ForeignFormat(String description, byte[]... magics) {
    this.description = description;
    this.magics = magics;
  }

  String description() {
    return description;
  }

  /**
   * The format that a file with this beginning has. The two-byte magics of pickle and gzip could
   * also begin a header length, so a safetensors file ('{' as byte 8) is none of these.
   */
  static Optional<ForeignFormat> of(byte[] prefix) {
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
