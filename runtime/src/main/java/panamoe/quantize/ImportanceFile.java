package panamoe.quantize;

import static java.util.stream.Collectors.groupingBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.SavedFile;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.io.WholeOrNothing;
import panamoe.io.Words;
import panamoe.model.ModelTensors;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.open.ModelFolder;
import panamoe.quantize.Calibration.Sums;
import panamoe.tensor.DType;

/**
 * llama.cpp's importance matrices as calibrations: a GGUF file with the sum of squares of each
 * column and the number of rows, or an older file with means alone. Used by one thread.
 */
public final class ImportanceFile {
  private static final String SUMS = ".in_sum2";
  private static final String COUNTS = ".counts";
  private static final String TYPE = "general.type";
  private static final String KIND = "imatrix";

  /** Tokens of a chunk, which older files count instead of tokens: llama.cpp's default. */
  private static final int CHUNK = 512;

  private static final int MOST_NAME_BYTES = 4096;
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Path file;
  private final ModelFolder folder;
  private final Map<String, List<List<QuantizedMatrix>>> tensors;
  private final Map<String, Sums> sums = new HashMap<>();
  private long tokens;

  private ImportanceFile(Path file, ModelFolder folder) {
    this.file = file;
    this.folder = folder;
    this.tensors = GgufMatrices.of(folder);
  }

  /**
   * Refuses a model that no such file is for.
   *
   * @throws CheckpointException if no GGUF file has such a model
   */
  public static void requireNames(ModelFolder folder) {
    GgufMatrices.of(folder);
  }

  /**
   * Reads a file.
   *
   * @param folder of the model that it was made with
   * @throws CheckpointException if it is damaged, or another model's
   */
  public static Calibration read(Path file, ModelFolder folder) {
    ImportanceFile read = new ImportanceFile(file, folder);
    List<QuantizedMatrix> matrices = ModelTensors.quantizedMatrices(folder.config());
    matrices.stream()
        .collect(groupingBy(QuantizedMatrix::parameter))
        .forEach(
            (name, stack) ->
                read.sums.put(name, new Sums(stack.size(), (int) stack.getFirst().columns())));
    if (ModelFolder.isGguf(file)) {
      read.readGguf();
    } else {
      read.readOlder();
    }
    for (QuantizedMatrix matrix : matrices) {
      Sums found = read.sums.get(matrix.parameter());
      if (matrix.layer() >= 0 && matrix.expert() < 0 && found.rows()[0] == 0) {
        throw read.bad("has nothing for %s of %s", matrix.name(), folder.path());
      }
    }
    return new Calibration(read.sums, read.tokens);
  }

  private void readGguf() {
    try (GgufFile gguf = GgufFile.open(file);
        Arena arena = Arena.ofConfined()) {
      if (!gguf.metadata().contains(TYPE) || !gguf.metadata().text(TYPE).equals(KIND)) {
        throw bad("is no importance matrix: its %s is not %s", TYPE, KIND);
      }
      for (StoredTensor tensor : gguf.tensors().values()) {
        if (tensor.name().endsWith(SUMS)) {
          String name = tensor.name().substring(0, tensor.name().length() - SUMS.length());
          StoredTensor counts = gguf.tensors().get(name + COUNTS);
          if (counts == null
              || counts.type() != StoredType.F32
              || tensor.type() != StoredType.F32) {
            throw bad("has no counts in F32 for %s", name);
          }
          float[] squares = floats(gguf, tensor, arena);
          float[] rows = floats(gguf, counts, arena);
          int columns = columns(name, squares.length, rows.length);
          for (int part = 0; part < rows.length; part++) {
            if (!(rows[part] >= 0 && Float.isFinite(rows[part]))) {
              throw bad("has a count of rows for %s that is %s", name, rows[part]);
            }
            float[] one = Arrays.copyOfRange(squares, part * columns, (part + 1) * columns);
            put(name, part, rows.length, one, 1, Math.round(rows[part]));
          }
        }
      }
    }
  }

  private int columns(String name, int sums, int parts) {
    if (parts == 0 || sums % parts != 0) {
      throw bad("has %s sums for %s, which do not divide among %s matrices", sums, name, parts);
    }
    return sums / parts;
  }

  private static float[] floats(GgufFile gguf, StoredTensor tensor, Arena arena) {
    MemorySegment bytes = arena.allocate(tensor.bytes(), Float.BYTES);
    gguf.read(tensor, 0, bytes);
    return bytes.toArray(FLOAT.withByteAlignment(Float.BYTES));
  }

  private void readOlder() {
    try (FileChannel channel = SavedFile.open(file);
        Arena arena = Arena.ofConfined()) {
      MemorySegment all = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
      long at = Integer.BYTES;
      for (int entry = number(all, 0, 1, Integer.MAX_VALUE); entry > 0; entry--) {
        int length = number(all, at, 1, MOST_NAME_BYTES);
        byte[] letters = slice(all, at + Integer.BYTES, length).toArray(ValueLayout.JAVA_BYTE);
        String name = new String(letters, StandardCharsets.UTF_8);
        at += Integer.BYTES + length;
        int calls = number(all, at, 1, Integer.MAX_VALUE / CHUNK);
        int count = number(all, at + Integer.BYTES, 1, Integer.MAX_VALUE / Float.BYTES);
        at += 2 * Integer.BYTES;
        MemorySegment values = slice(all, at, (long) count * Float.BYTES);
        at += values.byteSize();
        int parts = parts(name).size();
        int columns = columns(name, count, parts);
        for (int part = 0; part < parts; part++) {
          float[] one = new float[columns];
          boolean reached = false; // a part without data has ones
          for (int i = 0; i < columns; i++) {
            one[i] = values.getAtIndex(FLOAT, (long) part * columns + i);
            reached |= one[i] != calls;
          }
          put(name, part, parts, one, CHUNK, reached ? (long) calls * CHUNK : 0);
        }
      }
    } catch (IOException e) {
      throw CheckpointException.unread(file, e);
    }
  }

  private MemorySegment slice(MemorySegment all, long at, long bytes) {
    if (at + bytes > all.byteSize()) {
      throw bad("is no importance matrix, or is cut short at byte %s", all.byteSize());
    }
    return all.asSlice(at, bytes);
  }

  private int number(MemorySegment all, long at, int least, int most) {
    int number = slice(all, at, Integer.BYTES).get(INT, 0);
    if (number < least || number > most) {
      throw bad("is no importance matrix: byte %s begins the number %s", at, number);
    }
    return number;
  }

  private List<List<QuantizedMatrix>> parts(String name) {
    List<List<QuantizedMatrix>> parts = tensors.get(name);
    if (parts == null) {
      throw bad("is another model's: %s has no %s", folder.path(), name);
    }
    return parts;
  }

  /**
   * @param values of the columns of a part, times {@code factor} the sums of squares
   * @param rows their number
   */
  private void put(String name, int part, int of, float[] values, int factor, long rows) {
    List<List<QuantizedMatrix>> parts = parts(name);
    if (parts.stream().allMatch(List::isEmpty)) {
      return; // of a matrix that is never rounded
    }
    if (parts.size() != of) {
      throw bad(
          "is another model's: %s of %s has %s matrices, not %s",
          name, folder.path(), parts.size(), of);
    }
    for (QuantizedMatrix matrix : parts.get(part)) {
      Sums stack = sums.get(matrix.parameter());
      int expert = Math.max(0, matrix.expert());
      if (values.length != matrix.columns()) {
        throw bad(
            "is another model's: rows of %s of %s have %s columns, not %s",
            name, folder.path(), matrix.columns(), values.length);
      }
      for (int column = 0; column < values.length; column++) {
        double square = (double) values[column] * factor;
        if (!(square >= 0 && Double.isFinite(square))) {
          throw bad("has a sum of squares for %s that is %s", name, values[column]);
        }
        stack.squares()[expert][column] = rows == 0 ? 0 : square;
      }
      stack.rows()[expert] = rows;
      tokens = matrix.expert() < 0 ? Math.max(tokens, rows) : tokens;
    }
  }

  private CheckpointException bad(String problem, Object... values) {
    return new CheckpointException("%s %s", file, Words.of(problem, values));
  }

  /**
   * Writes a calibration as a GGUF file that llama.cpp reads too.
   *
   * @param text that it is of
   * @throws CheckpointException if no GGUF file has such a model
   * @throws IOException if it cannot be written
   */
  public static void write(Path file, ModelFolder folder, Calibration calibration, String text)
      throws IOException {
    GgufWriter writer = new GgufWriter();
    writer.put(TYPE, KIND);
    writer.put("imatrix.datasets", List.of(text));
    writer.put("imatrix.chunk_count", Math.toIntExact(calibration.tokens() / CHUNK));
    writer.put("imatrix.chunk_size", CHUNK);
    GgufMatrices.of(folder)
        .forEach(
            (name, parts) -> {
              List<QuantizedMatrix> first =
                  parts.stream().flatMap(part -> part.stream().limit(1)).toList();
              if (first.stream().anyMatch(matrix -> calibration.tokens(matrix) > 0)) {
                long columns = first.getFirst().columns();
                add(writer, name + SUMS, columns, first, calibration::squares);
                add(writer, name + COUNTS, 1, first, it -> new double[] {calibration.tokens(it)});
              }
            });
    WholeOrNothing.make(file, hidden -> writer.write(hidden, _ -> {}));
  }

  private static void add(
      GgufWriter writer,
      String name,
      long columns,
      List<QuantizedMatrix> matrices,
      Function<QuantizedMatrix, double[]> values) {
    writer.add(
        name,
        DType.FLOAT32,
        new long[] {matrices.size(), columns},
        () ->
            matrices.stream()
                .map(
                    matrix -> {
                      double[] wide = values.apply(matrix);
                      float[] narrow = new float[wide.length];
                      Arrays.setAll(wide, i -> narrow[i] = (float) wide[i]);
                      return Arena.ofAuto().allocateFrom(ValueLayout.JAVA_FLOAT, narrow);
                    })
                .toList());
  }
}
