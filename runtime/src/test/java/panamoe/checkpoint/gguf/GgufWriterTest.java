package panamoe.checkpoint.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.rows.EncodedRows;
import panamoe.checkpoint.rows.InMemory;
import panamoe.checkpoint.rows.RowTensor;
import panamoe.tensor.DType;

class GgufWriterTest {
  @TempDir private Path folder;

  /** Writes a matrix [1, 32] with this beginning. */
  private Path write(StoredType type, float... beginning) throws IOException {
    Path file = folder.resolve("model.gguf");
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, 32);
      MemorySegment.copy(beginning, 0, floats, ValueLayout.JAVA_FLOAT, 0, beginning.length);
      InMemory rows = new InMemory(DType.FLOAT32, 1, 32, floats);
      RowTensor tensor = new RowTensor(new long[] {1, 32}, rows);
      new GgufWriter()
          .put("general.architecture", "llama")
          .add("w", new EncodedRows(tensor, type))
          .write(file, _ -> {});
    }
    return file;
  }

  @Test
  void numbersAreRoundedToTheirType() throws IOException {
    float[] written = {65519, -65504, 1e-9f};
    try (GgufFile file = GgufFile.open(write(StoredType.F16, written));
        Arena arena = Arena.ofConfined()) {
      StoredTensor tensor = file.tensors().get("w");
      assertEquals(StoredType.F16, tensor.type());
      MemorySegment halves = arena.allocate(tensor.bytes(), 8);
      file.read(tensor, 0, halves);
      float[] read = new float[written.length];
      for (int i = 0; i < read.length; i++) {
        read[i] = Float.float16ToFloat(halves.getAtIndex(ValueLayout.JAVA_SHORT, i));
      }
      assertArrayEquals(new float[] {65504, -65504, 0}, read);
    }
  }

  /** A number, or the scale of its block, would become infinite. */
  @ParameterizedTest
  @CsvSource({
    "F16, 65520, 'F16: a number is 65520.0, which F16 does not hold'",
    "F16, Infinity, 'F16: a number is Infinity, which F16 does not hold'",
    "BF16, 3.4028e38, 'BF16: a number is 3.4028E38, which BF16 does not hold'",
    "BF16, -Infinity, 'BF16: a number is -Infinity, which BF16 does not hold'",
    "F32, Infinity, 'F32: a number is NaN or infinite'",
    "Q8_0, NaN, 'Q8_0: a number is NaN, which Q8_0 does not hold'",
    "Q4_0, 1e9, 'Q4_0: a number is 1.0E9, which Q4_0 does not hold'"
  })
  void numbersBeyondATypeAreRefusedWithTheirTensor(StoredType type, float number, String words) {
    assertEquals(
        "w cannot be stored as " + words,
        assertThrows(CheckpointException.class, () -> write(type, number)).getMessage());
  }
}
