package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.rows.InMemory;
import panamoe.checkpoint.rows.JoinedRows;
import panamoe.checkpoint.rows.TransposedRows;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** {@link WeightLoader}: ranks load their shares of composed rows. */
class WeightLoaderSharesTest {
  private static final int ROWS = 300; // more than a piece of 64
  private static final int COLUMNS = 12;

  @TempDir private Path folder;

  @Test
  void everyRankGetsItsShare() throws Exception {
    try (Backend backend = new ReferenceBackend();
        TensorScope scope = TensorScope.confined(backend)) {
      float[] values = new float[ROWS / 2 * COLUMNS];
      for (int i = 0; i < values.length; i++) {
        values[i] = i;
      }
      Tensor first = scope.allocate(DType.FLOAT32, ROWS / 2, COLUMNS).set(values);
      for (int i = 0; i < values.length; i++) {
        values[i] = -1 - i;
      }
      // [in, out], so that it is transposed when it is read.
      Tensor second = scope.allocate(DType.FLOAT32, COLUMNS, ROWS / 2).set(values);
      Path file = folder.resolve("x.safetensors");
      try (FileChannel channel =
          FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        SafetensorsWriter.write(channel, Map.of("first", first, "second", second), Map.of());
      }
      try (Shards shards = Shards.open(folder, List.of(file))) {
        RowSource rows =
            new JoinedRows(
                List.of(
                    StoredRows.of(shards, shards.tensors().get("first")),
                    new TransposedRows(StoredRows.of(shards, shards.tensors().get("second")))));
        float[] whole = load(backend, scope, rows, LoadTarget.Share.WHOLE, ROWS, COLUMNS);
        for (int member = 0; member < 3; member++) {
          int begin = member * 50;
          float[] halves =
              load(backend, scope, rows, new LoadTarget.Share(0, 2, member, 3), 100, COLUMNS);
          float[] expected = new float[halves.length];
          System.arraycopy(whole, begin * COLUMNS, expected, 0, 50 * COLUMNS);
          System.arraycopy(whole, (150 + begin) * COLUMNS, expected, 50 * COLUMNS, 50 * COLUMNS);
          assertArrayEquals(expected, halves);
          float[] across =
              load(backend, scope, rows, new LoadTarget.Share(1, 1, member, 3), ROWS, 4);
          float[] blocks =
              load(backend, scope, rows, new LoadTarget.Share(1, 2, member, 3), ROWS, 4);
          for (int row = 0; row < ROWS; row++) {
            for (int column = 0; column < 4; column++) {
              int at = row * 4 + column;
              int inBlocks = column / 2 * 6 + member * 2 + column % 2;
              assertArrayEquals(
                  new float[] {
                    whole[row * COLUMNS + member * 4 + column], whole[row * COLUMNS + inBlocks]
                  },
                  new float[] {across[at], blocks[at]});
            }
          }
        }
      }
    }
  }

  @Test
  void progressIsThePartOfTheBytes() {
    try (Backend backend = new ReferenceBackend();
        TensorScope scope = TensorScope.confined(backend)) {
      Map<String, RowSource> sources = new HashMap<>();
      Map<String, LoadTarget> targets = new LinkedHashMap<>();
      for (long rows : new long[] {30, 10}) {
        Tensor values = scope.allocate(DType.FLOAT32, rows, COLUMNS);
        MemorySegment zeros = MemorySegment.ofArray(new float[(int) rows * COLUMNS]);
        sources.put("w" + rows, new InMemory(DType.FLOAT32, rows, COLUMNS, zeros));
        targets.put(
            "w" + rows,
            new LoadTarget(DType.FLOAT32, values.shape(), LoadTarget.Share.WHOLE, values));
      }
      List<Double> parts = new ArrayList<>();
      WeightLoader.load(folder, sources, targets, backend, true, parts::add);
      assertEquals(List.of(0.75, 1.0), parts);
    }
  }

  private float[] load(
      Backend backend,
      TensorScope scope,
      RowSource rows,
      LoadTarget.Share share,
      long held,
      long columns) {
    Tensor target = scope.allocate(DType.FLOAT32, held, columns);
    LoadTarget to = new LoadTarget(DType.FLOAT32, new long[] {ROWS, COLUMNS}, share, target);
    WeightLoader.load(folder, Map.of("w", rows), Map.of("w", to), backend, true, _ -> {});
    return target.toFloats();
  }
}
