package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.testkit.CpuTime.assertWithin;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** {@link SafetensorsReader} reports every kind of invalid file by one exception. */
class SafetensorsReaderBadInputTest {
  private static final String ONE =
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";

  @TempDir private Path directory;

  static Stream<Arguments> badFiles() {
    return Stream.of(
        file("empty", new byte[0], "header too small: the file has 0 bytes"),
        file("7 bytes", new byte[7], "header too small: the file has 7 bytes"),
        file(
            "length beyond the file",
            RawFile.bytes(1000, text("{}"), new byte[0]),
            "invalid header length 1000"),
        file(
            "length 2^63",
            RawFile.bytes(Long.MIN_VALUE, text("{}"), new byte[0]),
            "length 9223372036854775808"),
        file(
            "length 2^64-1",
            RawFile.bytes(-1, text("{}"), new byte[0]),
            "length 18446744073709551615"),
        file(
            "length over the cap",
            RawFile.bytes(100_000_001, text("{}"), new byte[0]),
            "length 100000001"),
        file("length 0", RawFile.bytes(0, new byte[0], new byte[8]), "invalid header length 0"),
        file(
            "not UTF-8",
            RawFile.bytes(5, new byte[] {'{', '"', (byte) 0xff, '"', '}'}, new byte[0]),
            "not UTF-8"),
        header("not JSON", "{nonsense}", 0, "header is not valid"),
        header("cut JSON", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2", 0, "header is not valid"),
        header("an array", "[1,2]", 0, "does not begin with '{'"),
        header("a leading blank", " " + ONE, 8, "does not begin with '{'"),
        header("something after", ONE + "{}", 8, "goes on after the JSON object"),
        header(
            "100,000 deep", "{\"a\":".repeat(100_000) + "1" + "}".repeat(100_000), 0, "tensor a"),
        header(
            "100,000 deep in an unknown field",
            "{\"a\":{\"shape\":" + "[".repeat(100_000) + "]".repeat(100_000) + "}}",
            0,
            "invalid value ["),
        header(
            "duplicate tensor",
            ONE.substring(0, ONE.length() - 1) + "," + ONE.substring(1),
            8,
            "a key is there twice: 'a'"),
        header(
            "duplicate field",
            "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
            8,
            "a key is there twice: 'dtype'"),
        offsets("reversed", "[8,0]", "invalid data_offsets [8, 0]"),
        offsets("negative", "[-8,0]", "invalid value -8"),
        offsets("a fraction", "[0,1.5]", "invalid value 1.5"),
        offsets("an exponent", "[0,1e30]", "invalid value 1e30"),
        offsets("beyond a long", "[0,9223372036854775808]", "invalid value 9223372036854775808"),
        offsets("a string", "[0,\"8\"]", "invalid value 8"),
        offsets("three", "[0,8,8]", "more than 2 numbers in its data_offsets"),
        offsets("one", "[8]", "invalid data_offsets [8]"),
        offsets("null", "null", "data_offsets that is not an array"),
        offsets(
            "beyond the file", "[0,16]", "ends at byte 16 of the data, but the file holds only 8"),
        offsets("shorter than the shape", "[0,4]", "F32[2] takes 8 bytes, its data_offsets span 4"),
        header(
            "overlap",
            tensors("a", 0, 8, "b", 4, 12),
            12,
            "tensor b begins at byte 4 and overlaps tensor a"),
        header("same range", tensors("a", 0, 8, "b", 0, 8), 8, "overlaps tensor a"),
        header(
            "hole",
            tensors("a", 0, 8, "b", 12, 20),
            20,
            "bytes 8 to 12 before tensor b belong to no tensor"),
        header(
            "hole at the beginning",
            tensors("a", 4, 12, "b", 12, 20),
            20,
            "bytes 0 to 4 before tensor a"),
        header("bytes after the last tensor", ONE, 30, "22 bytes after the last tensor"),
        header("bytes without a tensor", "{}", 3, "3 bytes after the last tensor"),
        shape("product beyond 2^63", "F32", "[4294967296,4294967296]", "whose size overflows"),
        shape("bytes beyond 2^63", "F64", "[2305843009213693952]", "whose size overflows"),
        shape("overflow before a zero", "U8", "[9223372036854775807,2,0]", "whose size overflows"),
        shape("negative", "F32", "[-2]", "invalid value -2 in its shape"),
        shape("fraction", "F32", "[2.0]", "invalid value 2.0 in its shape"),
        shape("rank 33", "F32", "[2" + ",1".repeat(32) + "]", "more than 32 numbers in its shape"),
        shape("known but unsupported", "F8_E5M2", "[8]", "unsupported dtype F8_E5M2 in tensor a"),
        shape("less than a byte", "F4", "[3]", "unsupported dtype F4 in tensor a"),
        shape("unknown", "Q8_1", "[2]", "unsupported dtype Q8_1 in tensor a"),
        shape("no whole block", "Q4_K", "[2]", "rows are no whole blocks of 256"),
        header("no dtype", "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "lacks dtype"),
        header(
            "dtype is a number",
            "{\"a\":{\"dtype\":1,\"shape\":[2],\"data_offsets\":[0,8]}}",
            8,
            "not a string"),
        header(
            "unknown field",
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"url\":\"x\"}}",
            8,
            "unknown field 'url'"),
        header("tensor is a number", "{\"a\":3}", 0, "tensor a is not described by an object"),
        header("metadata is a list", "{\"__metadata__\":[]}", 0, "__metadata__ is not an object"),
        header("metadata is nested", "{\"__metadata__\":{\"x\":{}}}", 0, "not a string under 'x'"),
        header(
            "huge number",
            "{\"a\":{\"shape\":[" + "9".repeat(10_000) + "]}}",
            0,
            "header is not valid"),
        foreign("pickle", "\u0080\u0002}q", "a Python pickle"),
        foreign("PyTorch zip", "PK\u0003\u0004rest of a zip archive", "a zip archive"),
        foreign("gzip", "\u001f\u008b\u0008rest", "a gzip file"),
        foreign("GGUF", "GGUF\u0003\u0000\u0000\u0000", "a GGUF file"),
        foreign("HTML", "<!DOCTYPE html><html><body>404</body></html>", "an HTML page"),
        foreign(
            "LFS pointer",
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "a Git LFS pointer"));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("badFiles")
  void refusesBadFiles(String name, byte[] content, String expected) {
    Path path = RawFile.write(directory, content);
    CheckpointException e =
        assertWithin(
            Duration.ofSeconds(5),
            () -> assertThrows(CheckpointException.class, () -> SafetensorsReader.open(path)));
    assertTrue(e.getMessage().contains(expected), e.getMessage());
    assertTrue(e.getMessage().contains(path.toString()), e.getMessage());
    assertEquals(1, e.getMessage().lines().count());
  }

  @Test
  void capsTheNumberOfTensors() {
    StringBuilder header = new StringBuilder("{\"__metadata__\":{}");
    for (int i = 0; i < 1001; i++) {
      header.append(
          ",\"t%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}".formatted(i));
    }
    Path path = RawFile.write(directory, RawFile.bytes(header + "}", 0));
    SafetensorsReader.open(path, 1001).close();
    CheckpointException e =
        assertThrows(CheckpointException.class, () -> SafetensorsReader.open(path, 1000));
    assertTrue(
        e.getMessage().contains("more than 1000 tensors, the limit (maxTensors)"), e.getMessage());
  }

  @Test
  void refusesMillionsOfTensorsInBoundedTime() {
    StringBuilder header = new StringBuilder("{");
    for (int i = 0; header.length() < 85_000_000; i++) {
      header
          .append("\"")
          .append(Integer.toString(i, 36))
          .append("\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},");
    }
    header.setCharAt(header.length() - 1, '}');
    Path path = RawFile.write(directory, RawFile.bytes(header.toString(), 0));
    CheckpointException e =
        assertWithin(
            Duration.ofSeconds(30),
            () -> assertThrows(CheckpointException.class, () -> SafetensorsReader.open(path)));
    assertTrue(e.getMessage().contains("more than 1000000 tensors"), e.getMessage());
  }

  @Test
  void refusesWhatIsNoRegularFile() throws Exception {
    Path file = RawFile.write(directory, RawFile.bytes(ONE, 8));
    Path link = Files.createSymbolicLink(directory.resolve("link"), file);
    Path fifo = directory.resolve("fifo");
    assertEquals(0, new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor());
    refuses(link, "is a symbolic link, not a regular file");
    refuses(directory, "is a directory, not a regular file");
    refuses(fifo, "is a device or pipe, not a regular file");
    refuses(Path.of("/dev/zero"), "is a device or pipe, not a regular file");
    refuses(directory.resolve("absent"), "does not exist");
    refuses(file.resolve("below"), "does not exist");
  }

  @Test
  void fileTruncatedAfterOpeningIsAnError() throws IOException {
    Path path = RawFile.write(directory, RawFile.bytes(ONE, 8));
    try (SafetensorsReader reader = SafetensorsReader.open(path);
        FileChannel channel = FileChannel.open(path, StandardOpenOption.WRITE)) {
      channel.truncate(channel.size() - 4);
      CheckpointException e = assertThrows(CheckpointException.class, () -> reader.floats("a"));
      assertTrue(e.getMessage().contains("was truncated"), e.getMessage());
    }
  }

  @Test
  void refusesWrongNamesAndDestinations() {
    Path path = RawFile.write(directory, RawFile.bytes(ONE, 8));
    try (SafetensorsReader reader = SafetensorsReader.open(path);
        TensorScope scope = TensorScope.confined(new ArenaMemory());
        Arena arena = Arena.ofConfined()) {
      Tensor wrongShape = scope.zeros(DType.FLOAT32, 3);
      Tensor wrongType = scope.wrap(arena.allocate(8, 8), DType.INT32, 2);
      assertThrows(CheckpointException.class, () -> reader.floats("b"));
      assertThrows(CheckpointException.class, () -> reader.longs("a"));
      assertThrows(CheckpointException.class, () -> reader.readInto("a", wrongShape, _ -> {}));
      assertThrows(CheckpointException.class, () -> reader.readInto("a", wrongType, _ -> {}));
    }
  }

  private static void refuses(Path path, String expected) {
    CheckpointException e =
        assertWithin(
            Duration.ofSeconds(5),
            () -> assertThrows(CheckpointException.class, () -> SafetensorsReader.open(path)));
    assertTrue(e.getMessage().contains(expected), e.getMessage());
  }

  private static Arguments file(String name, byte[] content, String expected) {
    return Arguments.of(name, content, expected);
  }

  private static Arguments header(String name, String header, int dataBytes, String expected) {
    return file(name, RawFile.bytes(header, dataBytes), expected);
  }

  private static Arguments offsets(String name, String offsets, String expected) {
    return header(
        "offsets: " + name,
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" + offsets + "}}",
        8,
        expected);
  }

  private static Arguments shape(String name, String dtype, String shape, String expected) {
    return header(
        "type or shape: " + name,
        "{\"a\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[0,8]}}",
        8,
        expected);
  }

  private static Arguments foreign(String name, String content, String expected) {
    return file(name, content.getBytes(StandardCharsets.ISO_8859_1), expected);
  }

  private static String tensors(String a, int beginA, int endA, String b, int beginB, int endB) {
    return "{\"%s\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[%d,%d]},"
            .formatted(a, beginA, endA)
        + "\"%s\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[%d,%d]}}"
            .formatted(b, beginB, endB);
  }

  private static byte[] text(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
