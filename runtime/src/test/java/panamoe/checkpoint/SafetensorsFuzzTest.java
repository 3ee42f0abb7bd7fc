package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.testkit.CpuTime.assertWithin;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * Whatever the header says, it is refused by {@link CheckpointException} or describes tensors that
 * tile the data. {@code -Dpanamoe.fuzz.mutations=N} tries N headers.
 */
class SafetensorsFuzzTest {
  private static final int CASES = Integer.getInteger("panamoe.fuzz.mutations", 150_000);
  private static final String SEED_HEADER =
      "{\"__metadata__\":{\"format\":\"pt\"},"
          + "\"layers.0.w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
          + "\"layers.1.b\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[24,32]},"
          + "\"e\":{\"dtype\":\"I64\",\"shape\":[0],\"data_offsets\":[32,32]}}";
  private static final int DATA_BYTES = 32;
  private static final String[] FRAGMENTS = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "-1",
    "0",
    "1e400",
    "NaN",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "4294967296",
    "1.5",
    "\"dtype\"",
    "\"shape\"",
    "\"data_offsets\"",
    "\"F32\"",
    "\"F4\"",
    "\"__metadata__\"",
    "\"layers.0.w\"",
    " ",
    "\n",
    "\u0000",
    "\ufeff",
    "[0,0]",
    "[0,24]",
    "{}",
    "[[[[[[[[",
    "//",
    "/*"
  };

  @Test
  void mutatedHeaders() {
    Random random = new Random(20_260_101);
    int[] accepted = new int[1];
    assertWithin(
        Duration.ofSeconds(120),
        () -> {
          for (int i = 0; i < CASES; i++) {
            accepted[0] += parses(mutate(random), random) ? 1 : 0;
          }
          return null;
        });
    assertTrue(
        accepted[0] > 0 && accepted[0] < CASES / 2,
        accepted[0] + " of " + CASES + " were accepted");
  }

  private static boolean parses(byte[] header, Random random) {
    if (header.length == 0) {
      return false;
    }
    long dataBytes = random.nextInt(4) == 0 ? random.nextInt(64) : DATA_BYTES;
    try {
      long covered = 0;
      for (StoredTensor tensor :
          SafetensorsHeader.parse("fuzz", header, dataBytes, 100).tensors().values()) {
        long count = Arrays.stream(tensor.shape()).reduce(1, Math::multiplyExact);
        assertTrue(
            tensor.begin() == covered && tensor.bytes() == count * tensor.type().bytes(),
            tensor::toString);
        covered = tensor.end();
      }
      assertTrue(covered == dataBytes);
      return true;
    } catch (CheckpointException refused) {
      return false;
    }
  }

  private static byte[] mutate(Random random) {
    byte[] header = SEED_HEADER.getBytes(StandardCharsets.UTF_8);
    int mutations = random.nextInt(4);
    for (int i = 0; i <= mutations && header.length > 0; i++) {
      int at = random.nextInt(header.length);
      switch (random.nextInt(6)) {
        case 0 -> header[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> header[at] = (byte) random.nextInt(256);
        case 2 -> header = Arrays.copyOf(header, at);
        case 3 ->
            header =
                splice(header, at, Math.min(header.length, at + random.nextInt(30)), new byte[0]);
        case 4 -> {
          byte[] fragment =
              FRAGMENTS[random.nextInt(FRAGMENTS.length)].getBytes(StandardCharsets.UTF_8);
          header = splice(header, at, Math.min(header.length, at + random.nextInt(8)), fragment);
        }
        default ->
            header =
                splice(
                    header,
                    at,
                    at,
                    Arrays.copyOfRange(
                        header, random.nextInt(at + 1), at + random.nextInt(header.length - at)));
      }
    }
    return header;
  }

  private static byte[] splice(byte[] header, int from, int to, byte[] replacement) {
    byte[] result = new byte[header.length - (to - from) + replacement.length];
    System.arraycopy(header, 0, result, 0, from);
    System.arraycopy(replacement, 0, result, from, replacement.length);
    System.arraycopy(header, to, result, from + replacement.length, header.length - to);
    return result;
  }
}
