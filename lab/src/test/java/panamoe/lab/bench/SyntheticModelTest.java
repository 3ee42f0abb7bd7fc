package panamoe.lab.bench;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.StoredType;
import panamoe.config.GroupedQueryConfig;
import panamoe.engine.schedule.ModelRunner;
import panamoe.harness.CommandRun;
import panamoe.model.LanguageModel;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/** Tests the file of random weights: it is readable, written once, and has plausible values. */
class SyntheticModelTest {
  private static final SyntheticModel SMALL = SyntheticModel.mixture(1, 64, 300);

  private static final SyntheticModel DENSE =
      new SyntheticModel("qwen3-0.6b", 2, 64, 300, new GroupedQueryConfig.Heads(2, 1, 32), 96, 0);

  @TempDir private Path folder;

  @Test
  void aFileIsWrittenOnceAndCanBeRead() throws Exception {
    List<Double> parts = new ArrayList<>();
    Path file = SMALL.in(folder, DType.Q8_0, parts::add);
    assertEquals(1, parts.getLast());
    FileTime written = FileTime.fromMillis(1000);
    Files.setLastModifiedTime(file, written);
    assertEquals(file, SMALL.in(folder, DType.Q8_0, parts::add));
    assertEquals(written, Files.getLastModifiedTime(file));
    byte[] bytes = Files.readAllBytes(file);
    Files.write(file, new byte[100]);
    SMALL.in(folder, DType.Q8_0, parts::add);
    assertArrayEquals(bytes, Files.readAllBytes(file), "another file of the same seed");
    ModelFolder model = ModelFolder.open(file);
    assertEquals(List.of(64), model.config().experts());
    assertArrayEquals(new int[] {'h', 'i'}, model.tokenizer().encode("hi"));
    CommandRun run =
        CommandRun.of(
            "generate",
            "--model",
            file.toString(),
            "--prompt",
            "hi",
            "--max-tokens",
            "3",
            "--quantize",
            "stored",
            "--device",
            "cpu");
    assertEquals(0, run.exitCode(), run.err());
    assertTrue(run.err().contains("3 tokens in"), run.err());
  }

  /** Its embedding and tied head are one matrix in blocks. */
  @Test
  void aDenseOneKeepsTheBlocksOfItsHead() throws Exception {
    Path file = DENSE.in(folder, DType.Q8_0, _ -> {});
    ModelFolder model = ModelFolder.open(file);
    assertEquals(List.of(0, 0), model.config().experts());
    WeightTypes stored = model.typesAsStored(DType.FLOAT32);
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel rounded = model.load(backend, InferenceSettings.of(stored), null);
        LanguageModel exact =
            model.load(backend, InferenceSettings.of(stored.withExact(true)), null);
        LanguageModel decoded = model.load(backend, DType.FLOAT32)) {
      assertEquals(DType.Q8_0, rounded.head().weight().dtype());
      assertEquals("embedding.weight", rounded.head().matrix().name());
      float[] expected = ModelRunner.nextLogits(backend, decoded, 1, 2, 3);
      assertArrayEquals(expected, ModelRunner.nextLogits(backend, exact, 1, 2, 3));
      float[] near = ModelRunner.nextLogits(backend, rounded, 1, 2, 3);
      assertFalse(Arrays.equals(expected, near));
      assertArrayEquals(expected, near, 0.05f);
      Cost whole = decoded.cost(Work.decode(1, 1, DType.FLOAT32));
      Cost blocks = rounded.cost(Work.decode(1, 1, DType.FLOAT32));
      assertEquals(300 * 64 * (4 - 34.0 / 32), headBytes(whole, blocks), 1e-6);
    }
    CommandRun run =
        CommandRun.of(
            ("bench decode --tokens 5 --seconds 0.01 --quantize stored --json --device reference -m "
                    + file)
                .split(" "));
    assertEquals(0, run.exitCode(), run.err());
    assertTrue(run.out().contains("\"shape\":\"64x96\""), run.out());
  }

  /** What the blocks of a head save, of what those of all matrices do. */
  private static double headBytes(Cost whole, Cost blocks) {
    int layers = 2 * (64 * 32 * (2 * 2 + 2 * 1) + 3 * 64 * 96);
    return whole.bytesRead() - blocks.bytesRead() - layers * (4 - 34.0 / 32);
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"FLOAT32", "BFLOAT16", "Q8_0", "Q4_0", "Q4_K"})
  void numbersHaveMeanZeroAndTheDeviation(DType dtype) {
    int count = 1 << 16;
    List<MemorySegment> parts = new RandomWeights(3).parts("a", dtype, 0.25, 2, count / 512, 256);
    assertEquals(1, parts.size());
    StoredType type = StoredType.of(dtype);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, count);
      type.decode(parts.getFirst(), floats);
      double sum = 0;
      double squares = 0;
      for (float value : floats.toArray(ValueLayout.JAVA_FLOAT)) {
        sum += value;
        squares += value * value;
      }
      assertEquals(0, sum / count, 0.01);
      assertEquals(0.25, Math.sqrt(squares / count), 0.01);
    }
  }

  @ParameterizedTest
  @CsvSource({"synthetic-64, 6", "synthetic-64:14, 14", "qwen3-0.6b, 28", "qwen3-0.6b:2, 2"})
  void aNameSaysTheLayers(String name, int layers) {
    assertTrue(SyntheticModel.isNamed(name));
    assertEquals(layers, SyntheticModel.named(name).layers());
  }

  @Test
  void otherNamesAreFiles() {
    assertFalse(SyntheticModel.isNamed("synthetic-64.gguf"));
    String none =
        assertThrows(IllegalArgumentException.class, () -> SyntheticModel.named("synthetic-64:0"))
            .getMessage();
    assertEquals("synthetic-64:0 has no layers, expected 1 to 999", none);
  }
}
