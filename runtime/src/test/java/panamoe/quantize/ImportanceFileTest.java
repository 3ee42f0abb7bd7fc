package panamoe.quantize;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.model.ModelTensors;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;

class ImportanceFileTest {
  private static final Path GOLDEN = Path.of("../lab/golden");

  @TempDir private Path folder;

  /** Random sums; matrices that are multiplied by the same rows have the same. */
  private static Calibration random(ModelFolder model, boolean unreached) {
    Map<String, Calibration.Sums> sums = new HashMap<>();
    Map<String, Integer> sizes = new LinkedHashMap<>();
    List<QuantizedMatrix> matrices = ModelTensors.quantizedMatrices(model.config());
    matrices.forEach(matrix -> sizes.merge(matrix.parameter(), 1, Integer::sum));
    for (QuantizedMatrix matrix : matrices) {
      String rows = matrix.parameter().replaceAll("query\\.|key\\.|value\\.", "");
      Random random = new Random(rows.hashCode());
      int experts = sizes.get(matrix.parameter());
      Calibration.Sums all = new Calibration.Sums(experts, (int) matrix.columns());
      for (int expert = 0; expert < experts; expert++) {
        boolean reached = experts == 1 || !unreached || expert != 1;
        all.rows()[expert] = !reached ? 0 : experts == 1 ? 1024 : 1 + random.nextInt(1000);
        for (int column = 0; column < matrix.columns(); column++) {
          all.squares()[expert][column] = reached ? random.nextFloat() : 0;
        }
      }
      sums.put(matrix.parameter(), all);
    }
    return new Calibration(sums, 1024);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "gguf/mixtral_text_f16.gguf",
        "gguf/olmoe_c_many_types.gguf",
        "gguf/deepseek2_v3_b_yarn_bf16.gguf",
        "gguf/gptoss_c_yarn_q8_0.gguf",
        "hf/phi3_c_longrope"
      })
  void whatIsWrittenIsReadByNameAndExpert(String name) throws IOException {
    ModelFolder model = ModelFolder.open(GOLDEN.resolve(name));
    Calibration before = random(model, true);
    Path file = folder.resolve("imatrix.gguf");
    ImportanceFile.write(file, model, before, "a text");
    Calibration after = ImportanceFile.read(file, model);
    assertEquals(1024, after.tokens());
    for (QuantizedMatrix matrix : ModelTensors.quantizedMatrices(model.config())) {
      assertEquals(before.tokens(matrix), after.tokens(matrix), matrix.name());
      assertArrayEquals(before.squares(matrix), after.squares(matrix), matrix.name());
    }
    assertTrue(
        ModelTensors.quantizedMatrices(model.config()).stream()
            .noneMatch(it -> it.expert() == 1 && after.reached(it)));
    try (GgufFile gguf = GgufFile.open(file)) {
      assertEquals("imatrix", gguf.metadata().text("general.type"));
      assertEquals(2, gguf.metadata().whole("imatrix.chunk_count"));
      assertEquals(512, gguf.metadata().whole("imatrix.chunk_size"));
    }
  }

  /** The older format: means times the number of chunks; ones for experts without data. */
  private Path older(ModelFolder model, Calibration calibration, String renamed)
      throws IOException {
    Map<String, List<List<QuantizedMatrix>>> tensors = new LinkedHashMap<>();
    GgufMatrices.of(model)
        .forEach(
            (name, parts) -> {
              if (name.startsWith("blk.") && parts.stream().noneMatch(List::isEmpty)) {
                tensors.put(name, parts);
              }
            });
    ByteBuffer out = ByteBuffer.allocate(1 << 22).order(ByteOrder.LITTLE_ENDIAN);
    out.putInt(tensors.size());
    tensors.forEach(
        (name, parts) -> {
          byte[] letters = name.replace("attn_output", renamed).getBytes(StandardCharsets.UTF_8);
          out.putInt(letters.length).put(letters).putInt(2);
          int columns = (int) parts.getFirst().getFirst().columns();
          out.putInt(parts.size() * columns);
          for (List<QuantizedMatrix> part : parts) {
            QuantizedMatrix matrix = part.getFirst();
            long rows = calibration.tokens(matrix);
            for (double square : calibration.squares(matrix)) {
              out.putFloat(rows == 0 ? 2 : (float) (2 * square / rows));
            }
          }
        });
    out.putInt(2).putInt(3).put("abc".getBytes(StandardCharsets.UTF_8));
    byte[] bytes = Arrays.copyOf(out.array(), out.position());
    return Files.write(folder.resolve("imatrix.dat"), bytes);
  }

  @Test
  void olderFilesHaveMeans() throws IOException {
    ModelFolder model = ModelFolder.open(GOLDEN.resolve("gguf/mixtral_text_f16.gguf"));
    Calibration before = random(model, true);
    Calibration after = ImportanceFile.read(older(model, before, "attn_output"), model);
    int compared = 0;
    for (QuantizedMatrix matrix : ModelTensors.quantizedMatrices(model.config())) {
      if (matrix.layer() >= 0) {
        assertEquals(before.reached(matrix), after.reached(matrix), matrix.name());
        for (int i = 0; before.reached(matrix) && i < matrix.columns(); i++, compared++) {
          double mean = before.squares(matrix)[i] / before.tokens(matrix);
          assertEquals(mean, after.squares(matrix)[i] / after.tokens(matrix), 1e-6 * mean);
        }
      }
    }
    assertTrue(compared > 1000);
  }

  private static void refused(String part, Path file, ModelFolder model) {
    String said =
        assertThrows(CheckpointException.class, () -> ImportanceFile.read(file, model))
            .getMessage();
    assertTrue(said.contains(part), said);
    assertFalse(said.contains("\n"), said);
  }

  @Test
  void anotherModelsFileIsRefusedByName() throws IOException {
    ModelFolder mixtral = ModelFolder.open(GOLDEN.resolve("gguf/mixtral_text_f16.gguf"));
    ModelFolder other = ModelFolder.open(GOLDEN.resolve("gguf/olmoe_c_many_types.gguf"));
    Path file = folder.resolve("imatrix.gguf");
    ImportanceFile.write(file, other, random(other, false), "a text");
    refused("imatrix.gguf is another model's: ", file, mixtral);
    refused(
        "is another model's: " + mixtral.path() + " has no blk.0.none.weight",
        older(mixtral, random(mixtral, false), "none"),
        mixtral);
    Path model = GOLDEN.resolve("gguf/mixtral_text_f16.gguf");
    refused("is no importance matrix: its general.type is not imatrix", model, mixtral);
  }

  private void write(Path file, int sums, float... counts) throws IOException {
    GgufWriter writer = new GgufWriter();
    writer.put("general.type", "imatrix");
    String name = "blk.0.ffn_up_exps.weight";
    add(writer, name + ".in_sum2", new float[sums]);
    add(writer, name + ".counts", counts);
    writer.write(file, _ -> {});
  }

  private static void add(GgufWriter writer, String name, float[] values) {
    MemorySegment floats = Arena.ofAuto().allocateFrom(ValueLayout.JAVA_FLOAT, values);
    writer.add(name, DType.FLOAT32, new long[] {values.length}, () -> List.of(floats));
  }

  @Test
  void wildCountsAreRefused() throws IOException {
    ModelFolder model = ModelFolder.open(GOLDEN.resolve("gguf/mixtral_text_f16.gguf"));
    for (float count : new float[] {Float.NaN, Float.POSITIVE_INFINITY, -1}) {
      Path file = folder.resolve(count + ".gguf");
      write(file, 64, count);
      refused("has a count of rows for blk.0.ffn_up_exps.weight that is " + count, file, model);
    }
    Path file = folder.resolve("remainder.gguf");
    write(file, 65, 1, 1);
    refused("has 65 sums for blk.0.ffn_up_exps.weight, which do not divide among 2", file, model);
  }

  @Test
  void aDamagedFileIsRefused() throws IOException {
    ModelFolder model = ModelFolder.open(GOLDEN.resolve("gguf/mixtral_text_f16.gguf"));
    Path file = older(model, random(model, false), "attn_output");
    byte[] whole = Files.readAllBytes(file);
    for (int length : new int[] {0, 3, 7, 60, whole.length / 2}) {
      Files.write(file, Arrays.copyOf(whole, length));
      refused("is no importance matrix, or is cut short at byte " + length, file, model);
    }
    byte[] wild = whole.clone();
    Arrays.fill(wild, 4, 8, (byte) -1);
    Files.write(file, wild);
    refused("is no importance matrix: byte 4 begins the number -1", file, model);
    ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).putInt(0, 1); // one entry alone
    Files.write(file, whole);
    refused("has nothing for layers.", file, model);
  }
}
