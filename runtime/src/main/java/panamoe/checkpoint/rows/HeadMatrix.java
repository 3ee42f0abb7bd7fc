package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import panamoe.checkpoint.RowSource;
import panamoe.tensor.DType;

/**
 * The keys and values of all heads in one matrix [H * (N + V), K], each head's keys before its
 * values: the inverse of {@link HeadRows}.
 *
 * @param keys [H, K * N], a head's transposed matrix in each row
 * @param values [H, V * K]
 * @param width K
 */
public record HeadMatrix(RowSource keys, RowSource values, long width) implements RowSource {
  @Override
  public DType dtype() {
    return keys.dtype();
  }

  @Override
  public long rows() {
    return keys.rows() * ofHead();
  }

  private long ofHead() {
    return (keys.columns() + values.columns()) / width;
  }

  @Override
  public long columns() {
    return width;
  }

  @Override
  public boolean encoded() {
    return keys.encoded() || values.encoded();
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    long rowBytes = dtype().bytes(columns);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment key = arena.allocate(dtype().bytes(keys.columns()), Float.BYTES);
      MemorySegment value = arena.allocate(dtype().bytes(values.columns()), Float.BYTES);
      RowSource head =
          new JoinedRows(
              List.of(
                  new TransposedRows(new InMemory(dtype(), width, keys.columns() / width, key)),
                  new InMemory(dtype(), values.columns() / width, width, value)));
      for (long at = row, next; at < row + rows; at = next) {
        long number = at / ofHead();
        next = Math.min(row + rows, (number + 1) * ofHead());
        keys.read(number, 1, 0, keys.columns(), key);
        values.read(number, 1, 0, values.columns(), value);
        MemorySegment part = into.asSlice((at - row) * rowBytes, (next - at) * rowBytes);
        head.read(at - number * ofHead(), next - at, column, columns, part);
      }
    }
  }
}
