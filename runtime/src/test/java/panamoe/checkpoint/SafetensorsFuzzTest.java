package panamoe.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.testkit.CpuTime.assertWithin;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Any header is refused by {@link CheckpointException}, or describes tensors that tile the data.
 * {@code -Dpanamoe.fuzz.mutations=N} tries N headers.
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

  /** Through the reader, with other lengths of header and data too. */
  @Test
  void mutatedFiles(@TempDir Path folder) throws IOException {
    Random random = new Random(20_261_128);
    Path file = folder.resolve("model.safetensors");
    int accepted = 0;
    int cases = Integer.getInteger("panamoe.fuzz.mutations", 1000);
    for (int i = 0; i < cases; i++) {
      byte[] header = random.nextInt(4) == 0 ? mutate(random) : SEED_HEADER.getBytes(UTF_8);
      ByteBuffer bytes =
          ByteBuffer.allocate(Long.BYTES + header.length + DATA_BYTES)
              .order(ByteOrder.LITTLE_ENDIAN)
              .putLong(header.length)
              .put(header);
      int changes = random.nextInt(3);
      for (int change = 0; change < changes; change++) {
        bytes.put(random.nextInt(bytes.capacity()), (byte) random.nextInt(256));
        bytes.put(random.nextInt(Long.BYTES), (byte) random.nextInt(256));
      }
      int length = random.nextInt(4) == 0 ? random.nextInt(bytes.capacity()) : bytes.capacity();
      Files.write(file, Arrays.copyOf(bytes.array(), length));
      accepted += opens(file) ? 1 : 0;
    }
    assertTrue(accepted > cases / 100 && accepted < cases / 2, accepted + " of " + cases);
  }

  private static boolean opens(Path file) {
    try (SafetensorsReader reader = SafetensorsReader.open(file)) {
      byte[] end = new byte[1];
      for (StoredTensor tensor : reader.tensors()) {
        if (tensor.bytes() > 0) {
          reader.read(tensor, tensor.bytes() - 1, MemorySegment.ofArray(end));
        }
      }
      return true;
    } catch (CheckpointException refused) {
      String message = refused.getMessage();
      assertTrue(message.lines().count() == 1 && message.contains(file.toString()), message);
      return false;
    }
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
    byte[] header = SEED_HEADER.getBytes(UTF_8);
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
          byte[] fragment = FRAGMENTS[random.nextInt(FRAGMENTS.length)].getBytes(UTF_8);
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
