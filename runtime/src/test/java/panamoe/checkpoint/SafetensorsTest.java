package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.tensor.DType;
import panamoe.tensor.Elements;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.Sample;

class SafetensorsTest {
  @TempDir private Path directory;

  /** The format's own example of a file, spelt out byte by byte. */
  @Test
  void writesTheFormat() throws IOException {
    Path path;
    try (TensorScope scope = TensorScope.confined(new ArenaMemory())) {
      Tensor b = scope.allocate(DType.FLOAT32, 1, 2).set(1f, -2f);
      Tensor a = scope.allocate(DType.INT32).set(7);
      path = write("a.safetensors", Map.of("b", b, "a", a), Map.of("k", "v"));
    }
    String header =
        "{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[0,4]},"
            + "\"b\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[4,12]}}";
    String padded = header + " ".repeat((8 - header.length() % 8) % 8);
    ByteBuffer expected =
        ByteBuffer.allocate(8 + padded.length() + 12)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putLong(padded.length())
            .put(padded.getBytes(StandardCharsets.US_ASCII))
            .putInt(7)
            .putFloat(1)
            .putFloat(-2);
    assertArrayEquals(expected.array(), Files.readAllBytes(path));
  }

  @Test
  void roundTripsRandomTensorsBitForBit() throws IOException {
    Random random = new Random(1);
    for (int round = 0; round < 50; round++) {
      try (TensorScope scope = TensorScope.confined(new ArenaMemory())) {
        Map<String, Tensor> tensors = new TreeMap<>();
        int count = random.nextInt(10);
        for (int i = 0; i < count; i++) {
          long[] shape = random.longs(random.nextInt(5), 0, 6).toArray();
          Tensor tensor =
              scope.allocate(Sample.ELEMENTS.get(random.nextInt(Sample.ELEMENTS.size())), shape);
          byte[] bits = new byte[(int) tensor.bytes()];
          random.nextBytes(bits);
          tensor.data().asByteBuffer().put(bits);
          tensors.put("tensor é \"" + i, tensor);
        }
        Path path = write("round" + round, tensors, Map.of("round", "" + round));
        Path again = write("again" + round, tensors, Map.of("round", "" + round));
        assertEquals(-1, Files.mismatch(path, again));
        try (SafetensorsReader reader = SafetensorsReader.open(path)) {
          assertEquals(Map.of("round", "" + round), reader.metadata());
          assertEquals(tensors.size(), reader.tensors().size());
          for (Map.Entry<String, Tensor> entry : tensors.entrySet()) {
            StoredTensor stored = reader.tensor(entry.getKey());
            assertArrayEquals(entry.getValue().shape(), stored.shape());
            assertEquals(StoredType.of(entry.getValue().dtype()), stored.type());
            Tensor read = scope.allocate(entry.getValue().dtype(), stored.shape());
            reader.readInto(entry.getKey(), read, _ -> {});
            assertEquals(-1, entry.getValue().data().mismatch(read.data()));
          }
        }
      }
    }
  }

  @Test
  void widensEveryType() {
    ByteBuffer data =
        ByteBuffer.allocate(64)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putDouble(Math.PI)
            .putLong(-(1L << 60) - 1)
            .putFloat(0.1f)
            .putInt(-5)
            .putShort(Float.floatToFloat16(1.5f))
            .putShort((short) 0xc020)
            .putShort((short) -300)
            .put((byte) 200)
            .put((byte) 1);
    String header =
        entry("f64", "F64", 0, 8)
            + ","
            + entry("i64", "I64", 8, 16)
            + ","
            + entry("f32", "F32", 16, 20)
            + ","
            + entry("i32", "I32", 20, 24)
            + ","
            + entry("f16", "F16", 24, 26)
            + ","
            + entry("bf16", "BF16", 26, 28)
            + ","
            + entry("i16", "I16", 28, 30)
            + ","
            + entry("u8", "U8", 30, 31)
            + ","
            + entry("bool", "BOOL", 31, 32);
    byte[] json = ("{" + header + "}").getBytes(StandardCharsets.US_ASCII);
    byte[] content = RawFile.bytes(json.length, json, Arrays.copyOf(data.array(), 32));
    try (SafetensorsReader reader = SafetensorsReader.open(RawFile.write(directory, content))) {
      assertArrayEquals(new double[] {Math.PI}, reader.doubles("f64"));
      assertArrayEquals(new float[] {(float) Math.PI}, reader.floats("f64"));
      assertArrayEquals(new long[] {-(1L << 60) - 1}, reader.longs("i64"));
      assertArrayEquals(new float[] {0.1f}, reader.floats("f32"));
      assertArrayEquals(new long[] {-5}, reader.longs("i32"));
      assertArrayEquals(new float[] {1.5f}, reader.floats("f16"));
      assertArrayEquals(new float[] {-2.5f}, reader.floats("bf16"));
      assertArrayEquals(new long[] {-300}, reader.longs("i16"));
      assertArrayEquals(new long[] {200}, reader.longs("u8"));
      assertArrayEquals(new double[] {1}, reader.doubles("bool"));
    }
  }

  @Test
  void acceptsWhatTheFormatAllows() {
    String header =
        "{\"empty\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[0,0]},"
            + entry("scalar", "F32", 0, 4)
            + "}     ";
    try (SafetensorsReader reader =
        SafetensorsReader.open(RawFile.write(directory, RawFile.bytes(header, 4)))) {
      assertEquals(
          List.of("empty", "scalar"), reader.tensors().stream().map(StoredTensor::name).toList());
      assertEquals(0, reader.floats("empty").length);
      assertArrayEquals(new long[] {3, 0}, reader.tensor("empty").shape());
      assertEquals(0, reader.tensor("scalar").shape().length);
    }
    assertEquals(0, reopen("{}", 0).size());
  }

  @Test
  void refusesPackedTensors() {
    try (TensorScope scope = TensorScope.confined(new ArenaMemory())) {
      Tensor packed = scope.allocatePacked(DType.FLOAT32, 64, 2, 2);
      assertThrows(IllegalArgumentException.class, () -> write("x", Map.of("p", packed), Map.of()));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 11, 13})
  void refusesATensorOfOtherBytesThanItsShape(int given) {
    Elements lying =
        new Elements() {
          @Override
          public DType dtype() {
            return DType.FLOAT32;
          }

          @Override
          public long[] shape() {
            return new long[] {3};
          }

          @Override
          public void readBy(Reader reader) throws IOException {
            reader.read(MemorySegment.ofArray(new byte[given]));
          }
        };
    String message =
        assertThrows(IllegalStateException.class, () -> write("x", Map.of("t", lying), Map.of()))
            .getMessage();
    assertEquals("tensor t gave " + given + " bytes, expected 12", message);
  }

  private Path write(
      String name, Map<String, ? extends Elements> tensors, Map<String, String> metadata)
      throws IOException {
    Path path = directory.resolve(name);
    try (FileChannel channel =
        FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      SafetensorsWriter.write(channel, tensors, metadata);
    }
    return path;
  }

  private List<StoredTensor> reopen(String header, int dataBytes) {
    Path path = RawFile.write(directory, RawFile.bytes(header, dataBytes));
    try (SafetensorsReader reader = SafetensorsReader.open(path)) {
      return List.copyOf(reader.tensors());
    }
  }

  private static String entry(String name, String dtype, int begin, int end) {
    return "\"%s\":{\"dtype\":\"%s\",\"shape\":[],\"data_offsets\":[%d,%d]}"
        .formatted(name, dtype, begin, end);
  }
}
