package panamoe.checkpoint;

import java.lang.foreign.MemorySegment;
import java.util.HexFormat;
import java.util.zip.CRC32C;

/**
 * CRC-32C of a file that several threads read in pieces: checksums of adjacent pieces can be
 * combined. SHA-256 is sequential, and much slower than memory.
 */
final class Crc32c {
  /** The polynomial; the highest bit is the coefficient of x^0. */
  private static final int POLYNOMIAL = 0x82f63b78;

  private static final int ONE = 1 << 31;
  private static final int X_TO_8 = 1 << 23;

  /** A buffer has less than 2 GiB. */
  private static final long PIECE_BYTES = 1 << 24;

  private Crc32c() {}

  /** Of native memory. */
  static int of(MemorySegment bytes) {
    CRC32C checksum = new CRC32C();
    for (long at = 0; at < bytes.byteSize(); at += PIECE_BYTES) {
      long piece = Math.min(PIECE_BYTES, bytes.byteSize() - at);
      checksum.update(bytes.asSlice(at, piece).asByteBuffer());
    }
    return (int) checksum.getValue();
  }

  /** Of the bytes of {@code first} followed by those of {@code second}. */
  static int join(int first, int second, long secondBytes) {
    // Appending n bytes multiplies by x^(8 n), modulo the polynomial.
    int power = ONE;
    int square = X_TO_8;
    for (long left = secondBytes; left != 0; left >>>= 1) {
      if ((left & 1) != 0) {
        power = multiply(power, square);
      }
      square = multiply(square, square);
    }
    return multiply(power, first) ^ second;
  }

  /** Eight lower-case hexadecimal digits. */
  static String hex(int checksum) {
    return HexFormat.of().toHexDigits(checksum);
  }

  private static int multiply(int a, int b) {
    int product = 0;
    int term = b;
    for (int bit = ONE; bit != 0; bit >>>= 1) {
      if ((a & bit) != 0) {
        product ^= term;
      }
      term = (term & 1) != 0 ? term >>> 1 ^ POLYNOMIAL : term >>> 1;
    }
    return product;
  }
}
