package panamoe.checkpoint.gguf;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.testkit.CpuTime.assertWithin;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredTensor;
import panamoe.model.family.ReleasedModel;

/**
 * A mutated file is refused by one sentence, or its tensors can be read and make a model; memory
 * stays below a small multiple of the file. {@code -Dpanamoe.fuzz.mutations=N} tries N.
 */
class GgufFuzzTest {
  private static final int MUTATIONS = Integer.getInteger("panamoe.fuzz.mutations", 1000);
  private static final long SEED = Long.getLong("panamoe.fuzz.seed", 20_261_127);
  private static final int MOST_BYTES = 1 << 20;
  private static final long[] LENGTHS = {
    0, 1, -1, 255, 65_536, 0x7fff_ffffL, 0x8000_0000L, 0xffff_ffffL, 1L << 62, Long.MAX_VALUE
  };
  private static final String[] SEEDS = {
    "ok_plain", "ok_every_value_type", "ok_alignment", "ok_split-00001-of-00003"
  };

  @TempDir private Path folder;

  @Test
  void mutatedFiles() throws IOException {
    for (int part = 1; part <= 3; part++) {
      String name = "ok_split-0000" + part + "-of-00003.gguf";
      Files.copy(GgufSamples.path(name), folder.resolve(name));
    }
    for (long seed = 0; seed < 100; seed++) { // classes that are loaded take memory too
      opens(seed, Long.MAX_VALUE);
    }
    int[] accepted = new int[1];
    assertWithin(
        Duration.ofMillis(60_000 + 10L * MUTATIONS),
        () -> {
          for (int i = 0; i < MUTATIONS; i++) {
            accepted[0] += opens(SEED + i, MOST_BYTES) ? 1 : 0;
          }
          return null;
        });
    assertTrue(
        accepted[0] > MUTATIONS / 100 && accepted[0] < MUTATIONS / 2,
        accepted[0] + " of " + MUTATIONS + " were accepted");
  }

  private boolean opens(long seed, long mostBytes) {
    Random random = new Random(seed);
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    String name = SEEDS[random.nextInt(SEEDS.length)] + ".gguf";
    Path path = folder.resolve(name);
    try {
      Files.write(path, mutated(Files.readAllBytes(GgufSamples.path(name)), random));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    long before = threads.getCurrentThreadAllocatedBytes();
    try (GgufFile file = GgufFile.open(path)) {
      file.tensors().values().forEach(tensor -> read(file, tensor));
      ReleasedModel.of(file).sources(file);
      return true;
    } catch (CheckpointException refused) {
      String message = refused.getMessage();
      assertTrue(
          message.lines().count() == 1 && message.contains(folder.toString()),
          () -> "seed " + seed + ": " + message);
      return false;
    } catch (RuntimeException | Error e) {
      throw new AssertionError("seed " + seed + ": " + e, e);
    } finally {
      long taken = threads.getCurrentThreadAllocatedBytes() - before;
      assertTrue(taken < mostBytes, () -> "seed " + seed + ": " + taken + " bytes");
    }
  }

  private static void read(GgufFile file, StoredTensor tensor) {
    byte[] ends = new byte[1];
    file.read(tensor, 0, MemorySegment.ofArray(ends));
    file.read(tensor, tensor.bytes() - 1, MemorySegment.ofArray(ends));
  }

  /** Most changes are in the header, about 2,000 bytes. */
  private static byte[] mutated(byte[] file, Random random) {
    byte[] bytes = file;
    for (int i = random.nextInt(3); i >= 0 && bytes.length > 8; i--) {
      int at = random.nextInt(random.nextInt(8) == 0 ? bytes.length : Math.min(bytes.length, 2000));
      int length = Math.min(random.nextInt(40), bytes.length - at);
      switch (random.nextInt(6)) {
        case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bytes[at] = (byte) random.nextInt(256);
        case 2 -> bytes = Arrays.copyOf(bytes, at);
        case 3 -> bytes = spliced(bytes, at, length, new byte[0]);
        case 4 -> bytes = spliced(bytes, at, 0, Arrays.copyOfRange(bytes, at, at + length));
        default -> {
          long number = LENGTHS[random.nextInt(LENGTHS.length)];
          ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
          if (random.nextBoolean()) {
            buffer.putLong(Math.min(at, bytes.length - Long.BYTES), number);
          } else {
            buffer.putInt(Math.min(at, bytes.length - Integer.BYTES), (int) number);
          }
        }
      }
    }
    return bytes;
  }

  private static byte[] spliced(byte[] bytes, int at, int removed, byte[] added) {
    ByteBuffer result = ByteBuffer.allocate(bytes.length - removed + added.length);
    result.put(bytes, 0, at).put(added).put(bytes, at + removed, bytes.length - at - removed);
    return result.array();
  }
}
