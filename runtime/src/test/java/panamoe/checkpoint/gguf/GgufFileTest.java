package panamoe.checkpoint.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.StoredType;
import panamoe.tensor.DType;

class GgufFileTest {
  /** Valid files without a model that could run. */
  private static final Pattern OF_THE_MODEL =
      Pattern.compile(
          "(missing|unknown)_architecture|missing_(key|tensor)_.*|key_type_.*|block_count_.*"
              + "|experts_used_.*|head_count_.*|wrong_.*|n_tensors_too_few");

  @TempDir private Path folder;

  static Stream<GgufSamples.Case> recorded() throws IOException {
    return GgufSamples.all();
  }

  @ParameterizedTest
  @MethodSource("recorded")
  void damagedFilesAreRefusedInOneSentence(GgufSamples.Case file) {
    if (file.accepted() || OF_THE_MODEL.matcher(file.name()).matches()) {
      try (GgufFile opened = GgufFile.open(file.path())) {
        assertFalse(opened.tensors().isEmpty());
        opened.tensors().values().forEach(tensor -> bytes(opened, tensor));
      }
    } else {
      CheckpointException refused =
          assertThrows(CheckpointException.class, () -> GgufFile.open(file.path()));
      assertSentence(file.path(), refused.getMessage());
    }
  }

  @Test
  void anEmptyFileIsRefused(@TempDir Path folder) throws IOException {
    Path empty = Files.createFile(folder.resolve("empty.gguf"));
    assertEquals(
        empty
            + ": the first word takes 4 bytes, but only 0 are left of the file; if it was cut off on"
            + " its way, download or copy it again",
        assertThrows(CheckpointException.class, () -> GgufFile.open(empty)).getMessage());
  }

  private static void assertSentence(Path path, String message) {
    String stem = path.getFileName().toString().replaceAll("-0000.*", "");
    assertTrue(
        message.contains(stem) && message.length() < 600 && message.lines().count() == 1, message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "bad_magic | its first bytes are not GGUF",
        "version_big_endian | its numbers are big-endian",
        "version_4 | its GGUF version is 4, expected 2 or 3",
        "n_tensors_huge | it lists 2305843009213693952 tensors",
        "string_length_huge | 9223372036854775808 bytes",
        "array_length_huge | takes 4611686018427387904 times 4 bytes, but only",
        "array_nested | key x.a has an array of arrays",
        "duplicate_tensor | tensor blk.0.ffn_gate_exps.weight is there twice",
        "alignment_not_power_of_two | key general.alignment is 48, expected a power of two",
        "offset_gap | expected",
        "dims_negative | has the dimension -32",
        "dims_overflow_bytes | whose size overflows",
        "block_multiple_k | rows of 32 elements, expected a multiple of 256, a block of Q4_K",
        "type_id_4 | 1 tensor has the type Q4_2 (number 4) (blk.0.ffn_gate_exps.weight), but only",
        "type_id_huge | unknown (number 4294967295)",
        "truncated_data_one_byte | but the file holds only",
        "shard_missing_middle-00001-of-00003 | shard_missing_middle-00002-of-00003.gguf does not",
        "shard_opened_second-00002-of-00003 | is file 2 of 3; open the first",
        "shard_renamed-00001_of_00003 | so its name must end in -00001-of-00003.gguf",
        "shard_no_wrong-00001-of-00003 | says that it is file 3 of 3, but its name is that of file 2"
      })
  void messagesSayWhatIsWrong(String name, String part) {
    String message =
        assertThrows(
                CheckpointException.class, () -> GgufFile.open(GgufSamples.path(name + ".gguf")))
            .getMessage();
    assertTrue(message.contains(part), message);
  }

  @Test
  void aFileIsParsedAgainOnlyIfItChanged() throws IOException {
    Path path = folder.resolve("a.gguf");
    Files.copy(GgufSamples.path("ok_every_value_type.gguf"), path);
    try (GgufFile file = GgufFile.open(path);
        GgufFile again = file.again()) {
      assertSame(file.metadata(), again.metadata());
      file.tensors()
          .values()
          .forEach(tensor -> assertArrayEquals(bytes(file, tensor), bytes(again, tensor)));
      Files.setLastModifiedTime(path, FileTime.fromMillis(1));
      try (GgufFile changed = file.again()) {
        assertNotSame(file.metadata(), changed.metadata());
      }
      Files.write(path, new byte[100]);
      assertThrows(CheckpointException.class, file::again);
    }
  }

  @Test
  void otherFormatsAreNamed() throws IOException {
    Path pointer = Files.writeString(folder.resolve("a.gguf"), "version https://git-lfs.github\n");
    String message =
        assertThrows(CheckpointException.class, () -> GgufFile.open(pointer)).getMessage();
    assertTrue(message.contains("git lfs pull"), message);
  }

  @Test
  void metadataHaveTheirTypes() {
    try (GgufFile file = GgufFile.open(GgufSamples.path("ok_every_value_type.gguf"))) {
      GgufMetadata metadata = file.metadata();
      assertEquals(200, metadata.whole("x.u8"));
      assertEquals(-3, metadata.whole("x.i8"));
      assertEquals(60_000, metadata.whole("x.u16"));
      assertEquals(-300, metadata.whole("x.i16"));
      assertEquals(4_000_000_000L, metadata.whole("x.u32"));
      assertEquals(-5, metadata.whole("x.i32", -5, 5));
      assertEquals(-1L << 40, metadata.whole("x.i64"));
      assertEquals(0.5, metadata.real("x.f32"));
      assertEquals(1e300, metadata.real("x.f64"));
      assertTrue(metadata.flag("x.bool"));
      assertEquals("žluť 漢字 🦙", metadata.text("x.string"));
      assertEquals("", metadata.text("x.empty_string"));
      assertTrue(metadata.contains("x.u64") && !metadata.contains("x.u65"));
      Map<String, Object> values = metadata.values();
      assertEquals(metadata.keys(), values.keySet());
      assertEquals(List.of("a", "", "ß"), values.get("x.arr_str"));
      assertEquals(0, ((long[]) values.get("x.arr_empty")).length);
      assertArrayEquals(new double[] {1.5, -2.5}, (double[]) values.get("x.arr_f64"));
      assertEquals(new BigInteger("9223372036854775809"), values.get("x.u64"));
      assertArrayEquals(new boolean[] {true, false, true}, (boolean[]) values.get("x.arr_bool"));
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "x.none | has no key x.none",
        "x.u64 | key x.u64 is of type UINT64, expected a whole number below 2^63",
        "x.f32 | key x.f32 is of type FLOAT32, expected a whole number",
        "x.arr_empty | key x.arr_empty is an array of INT32, expected a whole number",
        "x.u8 | key x.u8 is 200, expected 1 to 100"
      })
  void wrongValuesAreRefused(String key, String part) {
    try (GgufFile file = GgufFile.open(GgufSamples.path("ok_every_value_type.gguf"))) {
      String message =
          assertThrows(CheckpointException.class, () -> file.metadata().whole(key, 1, 100))
              .getMessage();
      assertTrue(message.contains(part), message);
    }
  }

  @Test
  void severalFilesAreReadAsOne() {
    try (GgufFile whole = GgufFile.open(GgufSamples.path("ok_plain.gguf"));
        GgufFile split = GgufFile.open(GgufSamples.path("ok_split-00001-of-00003.gguf"))) {
      assertEquals(List.copyOf(whole.tensors().keySet()), List.copyOf(split.tensors().keySet()));
      for (StoredTensor tensor : whole.tensors().values()) {
        StoredTensor other = split.tensors().get(tensor.name());
        assertEquals(tensor.toString(), other.toString());
        assertArrayEquals(bytes(whole, tensor), bytes(split, other), tensor.name());
      }
      StoredTensor keys = whole.tensors().get("blk.0.attn_k.weight");
      assertArrayEquals(new long[] {16, 32}, keys.shape());
      assertEquals(StoredType.of(DType.Q8_0), keys.type());
      assertEquals(16 * 34, keys.bytes());
      assertEquals(16 * 32, keys.count());
    }
  }

  @Test
  void aFileThatWasCutAfterItWasOpenedIsReported() throws IOException {
    Path copy = folder.resolve("cut.gguf");
    Files.copy(GgufSamples.path("ok_plain.gguf"), copy);
    try (GgufFile file = GgufFile.open(copy)) {
      Files.write(copy, new byte[100]);
      StoredTensor last = file.tensors().get("blk.0.ffn_down_exps.weight");
      assertThrows(CheckpointException.class, () -> bytes(file, last));
    }
  }

  @Test
  void aHeaderBeyondTheLimitIsRefused() throws IOException {
    Path path = folder.resolve("sparse.gguf");
    ByteBuffer header = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
    header.put("GGUF".getBytes()).putInt(3).putLong(0).putLong(1);
    header.putLong(1).put((byte) 'k').putInt(9).putInt(0).putLong(200_000_000);
    Files.write(path, header.array());
    try (RandomAccessFile sparse = new RandomAccessFile(path.toFile(), "rw")) {
      sparse.setLength(300_000_000);
    }
    String message =
        assertThrows(CheckpointException.class, () -> GgufFile.open(path)).getMessage();
    assertTrue(message.contains("longer than 100000000 bytes, the limit, at key k"), message);
  }

  private static byte[] bytes(GgufFile file, StoredTensor tensor) {
    byte[] bytes = new byte[(int) tensor.bytes()];
    file.read(tensor, 0, MemorySegment.ofArray(bytes));
    return bytes;
  }
}
