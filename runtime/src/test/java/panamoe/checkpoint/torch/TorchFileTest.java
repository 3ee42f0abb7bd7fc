package panamoe.checkpoint.torch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredType;

class TorchFileTest {
  @TempDir private Path folder;

  private Path pickled(byte[] pickle) {
    Map<String, byte[]> entries = new LinkedHashMap<>();
    entries.put("x/data.pkl", pickle);
    entries.put("x/data/0", new byte[12]);
    return TorchFiles.zip(folder.resolve("x.pt"), entries, ZipEntry.STORED);
  }

  private static String refusal(Path file) {
    String message =
        assertThrows(CheckpointException.class, () -> TorchFile.open(file).close()).getMessage();
    assertEquals(1, message.lines().count(), message);
    assertTrue(message.contains(file.getFileName().toString()), message);
    return message;
  }

  @ParameterizedTest
  @ValueSource(strings = {"F64", "F32", "F16", "BF16"})
  void tensorsOfEveryTypeAreWidened(StoredType type) {
    float[] values = new float[700_000]; // more than a chunk
    for (int i = 0; i < values.length; i++) {
      values[i] = i % 251 - 125; // in 8 bits, as BF16 has
    }
    Path file = folder.resolve("x.pt");
    TorchFiles.save(file, Map.of("t", new TorchFiles.Saved(type, values, 7, 100_000)));
    try (TorchFile read = TorchFile.open(file)) {
      TorchTensor tensor = (TorchTensor) ((Map<?, ?>) read.content()).get("t");
      assertArrayEquals(new long[] {7, 100_000}, tensor.shape());
      assertArrayEquals(values, read.floats(tensor));
    }
  }

  @Test
  void plainDataIsReadAsItIs() {
    Map<Object, Object> content = new LinkedHashMap<>();
    content.put("text", "Zürich");
    content.put("list", Arrays.asList(1L, -70_000L, 1L << 40, null, true, 2.5, List.of()));
    content.put(3L, Map.of("deep", Map.of()));
    Path file = folder.resolve("x.pt");
    TorchFiles.save(file, content);
    try (TorchFile read = TorchFile.open(file)) {
      assertEquals(content, read.content());
    }
  }

  @Test
  void aTensorMayBePartOfItsStorage() {
    PickleWriter.Tensor part =
        new PickleWriter.Tensor("FloatStorage", "0", 3, 1, List.of(2L, 1L), List.of(1L, 9L));
    Path file = pickled(new PickleWriter().value(part).done());
    try (TorchFile read = TorchFile.open(file)) {
      assertArrayEquals(new float[2], read.floats((TorchTensor) read.content()));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2})
  void aChangedElementIsRefusedEvenBesideTheTensor(int changed) throws IOException {
    PickleWriter.Tensor part =
        new PickleWriter.Tensor("FloatStorage", "0", 3, 1, List.of(1L), List.of(1L));
    Map<String, byte[]> entries = new LinkedHashMap<>();
    entries.put("x/data.pkl", new PickleWriter().value(part).done());
    byte[] elements = new byte[12];
    Arrays.fill(elements, (byte) 0x5a);
    entries.put("x/data/0", elements);
    Path file = TorchFiles.zip(folder.resolve("x.pt"), entries, ZipEntry.STORED);
    byte[] bytes = Files.readAllBytes(file);
    int at = new String(bytes, StandardCharsets.ISO_8859_1).indexOf("Z".repeat(12));
    bytes[at + 4 * changed] ^= 1;
    Files.write(file, bytes);
    try (TorchFile read = TorchFile.open(file)) {
      TorchTensor tensor = (TorchTensor) read.content();
      String message =
          assertThrows(CheckpointException.class, () -> read.floats(tensor)).getMessage();
      assertEquals(file + " is damaged: its entry x/data/0 does not have its checksum", message);
    }
  }

  @Test
  void anEntryWithoutAChecksumIsRead() throws IOException {
    Path file =
        pickled(new PickleWriter().value(PickleWriter.Tensor.whole("FloatStorage", "0", 3)).done());
    CRC32 checksum = new CRC32();
    checksum.update(new byte[12]);
    byte[] stored =
        ByteBuffer.allocate(4)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putInt((int) checksum.getValue())
            .array();
    String without =
        Files.readString(file, StandardCharsets.ISO_8859_1)
            .replace(new String(stored, StandardCharsets.ISO_8859_1), "\0\0\0\0");
    Files.writeString(file, without, StandardCharsets.ISO_8859_1);
    try (ZipFile zip = new ZipFile(file.toFile())) {
      assertEquals(0, zip.getEntry("x/data/0").getCrc());
    }
    try (TorchFile read = TorchFile.open(file)) {
      assertArrayEquals(new float[3], read.floats((TorchTensor) read.content()));
    }
  }

  private static Arguments hostile(String expected, Consumer<PickleWriter> pickle) {
    PickleWriter writer = new PickleWriter();
    pickle.accept(writer);
    return Arguments.of(expected, writer.done());
  }

  private static Consumer<PickleWriter> tensor(
      String storage, long count, long begin, List<Long> shape, List<Long> stride) {
    return to -> to.value(new PickleWriter.Tensor(storage, "0", count, begin, shape, stride));
  }

  static Stream<Arguments> hostilePickles() {
    return Stream.of(
        hostile("names posix.system", to -> to.global("posix", "system").tuple("touch x").raw('R')),
        hostile("names os.system", to -> to.global("os", "system").tuple("touch x").raw('R')),
        hostile("names builtins.eval", to -> to.global("builtins", "eval")),
        hostile("names torch.load", to -> to.global("torch", "load")),
        hostile("names torch._utils._rebuild", to -> to.global("torch._utils", "_rebuild")),
        hostile("calls what is no name", to -> to.value("os.system").raw(')', 'R')),
        hostile("opcode 0x69", to -> to.raw('(', 'i')),
        hostile("opcode 0x93", to -> to.raw(0x93)),
        hostile("opcode 0x82", to -> to.raw(0x82, 1)),
        hostile("opcode 0x8b", to -> to.int32(0x8b, -1)),
        hostile("asks for 2147483647 bytes", to -> to.int32('X', Integer.MAX_VALUE)),
        hostile("asks for 4294967295 bytes", to -> to.int32('X', -1)),
        hostile("not UTF-8", to -> to.int32('X', 1).raw(0xff)),
        hostile("recalls value 7", to -> to.int32('j', 7)),
        hostile("takes a value where there is none", to -> to.raw(0x85)),
        hostile("takes values where there are none", to -> to.raw('t')),
        hostile("takes a value where there is none", to -> to.raw('N', '(', 'q', 0)),
        hostile("leaves 1 values behind", to -> to.raw('N', 'N')),
        hostile("appends to what is no list", to -> to.raw(')', 'N', 'a')),
        hostile("sets an item of what is no dictionary", to -> to.raw(']', 'N', 'N', 's')),
        hostile("neither a text nor a number", to -> to.raw('}', ']', 'N', 's')),
        hostile("sets attributes of what has none", to -> to.value("x").raw('}', 'b')),
        hostile("with arguments", to -> to.global("argparse", "Namespace").tuple(1).raw('R')),
        hostile("a storage that is none", to -> to.tuple("storage", "os", "0", "cpu", 1).raw('Q')),
        hostile(
            "a tensor that is none",
            to -> to.global("torch._utils", "_rebuild_tensor_v2").tuple(1, 2).raw('R')),
        hostile("more elements", tensor("FloatStorage", 3, 0, List.of(4L), List.of(1L))),
        hostile("ends after its storage", tensor("FloatStorage", 3, 2, List.of(2L), List.of(1L))),
        hostile("ends after its storage", tensor("FloatStorage", 3, -1, List.of(2L), List.of(1L))),
        hostile("not row-major", tensor("FloatStorage", 4, 0, List.of(2L, 2L), List.of(1L, 2L))),
        hostile(
            "more elements",
            tensor(
                "FloatStorage",
                Long.MAX_VALUE,
                0,
                List.of(1L << 40, 1L << 40),
                List.of(1L << 40, 1L))),
        hostile("sizes are none", tensor("FloatStorage", 3, 0, List.of(-1L), List.of(1L))),
        hostile("names torch.EvilStorage", tensor("EvilStorage", 3, 0, List.of(1L), List.of(1L))));
  }

  @ParameterizedTest
  @MethodSource("hostilePickles")
  void hostilePicklesAreRefused(String expected, byte[] pickle) {
    String message = refusal(pickled(pickle));
    assertTrue(message.contains(expected), message);
    assertTrue(message.contains("x/data.pkl"), message);
  }

  @Test
  void nestingCostsNoStackAndValuesAreLimited() {
    PickleWriter deep = new PickleWriter();
    for (int i = 0; i < 400_000; i++) {
      deep.raw(']');
    }
    for (int i = 1; i < 400_000; i++) {
      deep.raw('a');
    }
    TorchFile.open(pickled(deep.done())).close();
    PickleWriter many = new PickleWriter();
    for (int i = 0; i < 1_000_001; i++) {
      many.raw(']');
    }
    assertTrue(refusal(pickled(many.done())).contains("more than 1000000 values"));
  }

  @Test
  void aListWithinItselfIsData() {
    TorchFile.open(pickled(new PickleWriter().raw(']', 'q', 0, 'h', 0, 'a').done())).close();
  }

  @Test
  void everyCutAndManyChangesAreRefusedOrRead() throws IOException {
    Map<String, Object> content =
        Map.of("t", new TorchFiles.Saved(StoredType.F16, new float[] {1, 2, 3}, 3), "n", 4);
    byte[] whole = Files.readAllBytes(TorchFiles.save(folder.resolve("x.pt"), content));
    for (int length = 0; length < whole.length; length++) {
      refusal(Files.write(folder.resolve("cut.pt"), Arrays.copyOf(whole, length)));
    }
    Random random = new Random(3);
    for (int i = 0; i < 3000; i++) {
      byte[] changed = whole.clone();
      changed[random.nextInt(changed.length)] = (byte) random.nextInt();
      try (TorchFile read = TorchFile.open(Files.write(folder.resolve("y.pt"), changed))) {
        if (read.content() instanceof Map<?, ?> map
            && map.get("t") instanceof TorchTensor tensor
            && tensor.type().isFloating()) {
          read.floats(tensor);
        }
      } catch (CheckpointException e) {
        assertEquals(1, e.getMessage().lines().count(), e.getMessage());
      }
    }
  }

  @Test
  void everyCutPickleIsRefused() {
    byte[] whole = new PickleWriter().value(Map.of("a", List.of(1, "b"))).done();
    for (int length = 0; length < whole.length; length++) {
      refusal(pickled(Arrays.copyOf(whole, length)));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"/etc/passwd", "../x", "x/../../y", "x\\y"})
  void entriesThatLeadOutAreRefused(String name) {
    Map<String, byte[]> entries = new LinkedHashMap<>();
    entries.put("x/data.pkl", new PickleWriter().raw('N').done());
    entries.put(name, new byte[1]);
    Path file = TorchFiles.zip(folder.resolve("x.pt"), entries, ZipEntry.STORED);
    assertTrue(refusal(file).contains("leads out of the archive"));
  }

  @Test
  void aZipBombIsRefusedBeforeItIsRead() {
    Map<String, byte[]> bomb = Map.of("x/data.pkl", new byte[50 << 20]);
    Path file = TorchFiles.zip(folder.resolve("x.pt"), bomb, ZipEntry.DEFLATED);
    assertTrue(refusal(file).contains("a compressed entry, x/data.pkl"));
  }

  @Test
  void whatIsNoSuchFileIsRefused() throws IOException {
    assertTrue(refusal(folder.resolve("none.pt")).contains("does not exist"));
    assertTrue(refusal(Files.writeString(folder.resolve("text.pt"), "hello")).contains("no ZIP"));
    Path link = Files.createSymbolicLink(folder.resolve("link.pt"), folder.resolve("text.pt"));
    assertTrue(refusal(link).contains("symbolic link"));
    Path empty = TorchFiles.zip(folder.resolve("e.pt"), Map.of("a", new byte[0]), ZipEntry.STORED);
    assertTrue(refusal(empty).contains("has 0 entries data.pkl"));
    Map<String, byte[]> big =
        Map.of("x/data.pkl", new PickleWriter().raw('N').done(), "x/byteorder", "big".getBytes());
    Path other = TorchFiles.zip(folder.resolve("big.pt"), big, ZipEntry.STORED);
    assertTrue(refusal(other).contains("big-endian"));
  }

  @Test
  void missingElementsAreRefused() {
    String[] expected = {"has no entry x/data/1", "of 12 bytes, fewer", "of whole numbers"};
    PickleWriter.Tensor[] tensors = {
      PickleWriter.Tensor.whole("FloatStorage", "1", 3),
      PickleWriter.Tensor.whole("FloatStorage", "0", 4),
      PickleWriter.Tensor.whole("IntStorage", "0", 3)
    };
    for (int i = 0; i < tensors.length; i++) {
      try (TorchFile file = TorchFile.open(pickled(new PickleWriter().value(tensors[i]).done()))) {
        TorchTensor tensor = (TorchTensor) file.content();
        String message =
            assertThrows(CheckpointException.class, () -> file.floats(tensor)).getMessage();
        assertTrue(message.contains(expected[i]), message);
      }
    }
  }
}
