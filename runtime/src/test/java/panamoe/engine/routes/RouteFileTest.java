package panamoe.engine.routes;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.config.ModelPresets.Architecture;
import panamoe.io.DataException;
import panamoe.op.RouteSource;

class RouteFileTest {
  /** Two layers, both with 2 of 4 experts. */
  private static final ModelConfig MODEL = model(Architecture.MIXTRAL, 257);

  private static final RouteLayout LAYOUT = new RouteLayout(RoutedLayer.of(MODEL));

  @TempDir private Path folder;
  private Path path;

  private static ModelConfig model(Architecture architecture, int vocabulary) {
    return ModelPresets.of(ModelPresets.Size.TINY, architecture, vocabulary);
  }

  @BeforeEach
  void name() {
    path = folder.resolve("routes");
  }

  /** Experts that depend on {@code seed}, the row, the layer and the choice. */
  private static int expert(int seed, int row, int layer, int k) {
    return (seed + row + layer + k) % 4;
  }

  private static SequenceRoutes sequence(int seed, int... tokens) {
    List<float[]> rows =
        IntStream.range(0, tokens.length)
            .mapToObj(
                row -> {
                  float[] routes = new float[LAYOUT.width()];
                  for (int layer = 0; layer < 2; layer++) {
                    for (int k = 0; k < 2; k++) {
                      LAYOUT.set(routes, layer, k, expert(seed, row, layer, k), 0.5f);
                    }
                  }
                  return routes;
                })
            .toList();
    return new SequenceRoutes(tokens, rows);
  }

  private void append(SequenceRoutes... sequences) {
    try (RouteFile file = RouteFile.append(path, MODEL)) {
      for (SequenceRoutes each : sequences) {
        file.append(each);
      }
    }
  }

  private static void assertRoutes(RouteSource found, int row, int seed, int rowOfText) {
    for (int layer = 0; layer < 2; layer++) {
      for (int k = 0; k < 2; k++) {
        int expected = seed < 0 ? -1 : expert(seed, rowOfText, layer, k);
        assertEquals(expected, found.experts(layer)[2 * row + k]);
      }
    }
  }

  private String refusal(ModelConfig config) {
    return assertThrows(DataException.class, () -> RouteFile.open(path, config).close())
        .getMessage();
  }

  @Test
  void givesATextTheLongestRecordOfItsFirstTokens() {
    append(sequence(1, 7, 8), sequence(2, 5, 6, 7));
    append(sequence(3, 7, 8, 9)); // a later server
    try (RouteFile file = RouteFile.open(path, MODEL)) {
      assertEquals(3, file.sequences());
      BitSet filler = new BitSet();
      filler.set(2);
      RouteSource found =
          file.of(new int[] {7, 8, 9, 1, 5, 6, 7, 0, 0, 7, 8}, new int[] {4, 3, 2, 2}, filler);
      for (int row = 0; row < 3; row++) {
        assertRoutes(found, row, 3, row);
        assertRoutes(found, 4 + row, 2, row);
      }
      assertRoutes(found, 3, -1, 0);
      assertRoutes(found, 7, -1, 0);
      assertRoutes(found, 9, 1, 0);
      assertRoutes(found, 10, 1, 1);
    }
  }

  @Test
  void theLastRecordOfASequenceCounts() {
    append(sequence(1, 7, 8), sequence(2, 7, 8));
    try (RouteFile file = RouteFile.open(path, MODEL)) {
      assertEquals(1, file.sequences());
      assertRoutes(file.of(new int[] {7, 8}, new int[] {2}, null), 1, 2, 1);
    }
  }

  /** A server killed at any byte of a record leaves the whole ones; the next one goes on. */
  @Test
  void aTornRecordCountsForNothing() throws IOException {
    append(sequence(1, 7, 8));
    byte[] one = Files.readAllBytes(path);
    append(sequence(2, 5, 6, 7));
    byte[] two = Files.readAllBytes(path);
    assertArrayEquals(one, Arrays.copyOf(two, one.length));
    for (int length = 0; length < two.length; length++) {
      Files.write(path, Arrays.copyOf(two, length));
      if (length >= one.length) {
        try (RouteFile file = RouteFile.open(path, MODEL)) {
          assertEquals(1, file.sequences());
        }
        append(sequence(2, 5, 6, 7));
        assertArrayEquals(two, Files.readAllBytes(path));
      }
    }
    Files.write(path, Arrays.copyOf(two, 20)); // in the header
    append(sequence(1, 7, 8), sequence(2, 5, 6, 7));
    assertArrayEquals(two, Files.readAllBytes(path));
  }

  /** A machine that fails may leave the length of a record without its bytes. */
  @Test
  void zerosAtTheEndCountForNothing() throws IOException {
    append(sequence(1, 7, 8));
    byte[] one = Files.readAllBytes(path);
    Files.write(path, Arrays.copyOf(one, one.length + 100_000));
    try (RouteFile file = RouteFile.open(path, MODEL)) {
      assertEquals(1, file.sequences());
    }
    append();
    assertArrayEquals(one, Files.readAllBytes(path));
    byte[] more = Arrays.copyOf(one, one.length + 100_000);
    more[more.length - 1] = 1;
    Files.write(path, more);
    assertDamagedAndKept(one.length, more);
  }

  /** It hides all records that follow, which must not be cut off. */
  @Test
  void aRecordThatIsTooLongIsDamaged() throws IOException {
    append(sequence(1, 7, 8));
    int second = (int) Files.size(path);
    append(sequence(2, 5, 6), sequence(3, 7));
    byte[] all = Files.readAllBytes(path);
    all[second + 2] ^= 1; // 65,538 rows
    Files.write(path, all);
    assertDamagedAndKept(second, all);
  }

  private void assertDamagedAndKept(int at, byte[] expected) throws IOException {
    String message =
        assertThrows(DataException.class, () -> RouteFile.append(path, MODEL)).getMessage();
    assertEquals("the routes " + path + " are damaged at byte " + at, message);
    assertEquals(message, refusal(MODEL));
    assertArrayEquals(expected, Files.readAllBytes(path));
  }

  @Test
  void refusesFilesOfOtherModels() throws IOException {
    append(sequence(1, 7, 8));
    byte[] before = Files.readAllBytes(path);
    String expected =
        path
            + " has routes of another model, not of one with a vocabulary of 300 and the MoE"
            + " layers 0 (2 of 4), 1 (2 of 4)";
    ModelConfig other = model(Architecture.MIXTRAL, 300);
    assertEquals(expected, refusal(other));
    assertThrows(DataException.class, () -> RouteFile.append(path, other));
    assertTrue(refusal(model(Architecture.MOE, 257)).contains("1 (1 of 4)"));
    assertTrue(refusal(model(Architecture.DENSE, 257)).endsWith("257 and no MoE layers"));
    assertArrayEquals(before, Files.readAllBytes(path));
  }

  @Test
  void refusesWhatIsNoFileOfRoutes() throws IOException {
    assertEquals("cannot read the routes " + path + ": no such file or folder", refusal(MODEL));
    Path nowhere = folder.resolve("none/routes");
    assertEquals(
        "cannot write the routes " + nowhere + ": no such file or folder",
        assertThrows(DataException.class, () -> RouteFile.append(nowhere, MODEL)).getMessage());
    Files.writeString(path, "a text that is somewhat longer than the header of such a file is");
    assertEquals(path + " is no file of routes", refusal(MODEL));
    assertThrows(DataException.class, () -> RouteFile.append(path, MODEL));
    Files.writeString(path, "short");
    assertEquals(path + " is no file of routes", refusal(MODEL));
    assertThrows(DataException.class, () -> RouteFile.append(path, MODEL));
    assertEquals("short", Files.readString(path));
    Files.delete(path);
    Files.createDirectory(path);
    assertEquals("the routes " + path + " are no regular file", refusal(MODEL));
  }

  @Test
  void refusesATextWithoutRecordAndDamage() throws IOException {
    append(sequence(1, 7, 8));
    try (RouteFile file = RouteFile.open(path, MODEL)) {
      String message =
          assertThrows(DataException.class, () -> file.of(new int[] {7, 9}, new int[] {2}, null))
              .getMessage();
      assertEquals(
          path
              + " has the routes of 1 sequence, but of none that a training text begins with:"
              + " one of 2 tokens, of which the first is token 7",
          message);
    }
    byte[] bytes = Files.readAllBytes(path);
    bytes[bytes.length - 6] ^= 1;
    Files.write(path, bytes, StandardOpenOption.TRUNCATE_EXISTING);
    try (RouteFile file = RouteFile.open(path, MODEL)) {
      String message =
          assertThrows(DataException.class, () -> file.of(new int[] {7, 8}, new int[] {2}, null))
              .getMessage();
      assertTrue(message.startsWith("the routes " + path + " are damaged at byte "), message);
    }
  }

  @Test
  void oneServerAppends() {
    try (RouteFile first = RouteFile.append(path, MODEL)) {
      String message =
          assertThrows(DataException.class, () -> RouteFile.append(path, MODEL)).getMessage();
      assertEquals("the routes " + path + " are being written by another process", message);
      first.append(sequence(1, 7));
    }
    try (RouteFile file = RouteFile.open(path, MODEL)) {
      assertEquals(1, file.sequences());
    }
  }
}
