package panamoe.checkpoint.rows;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;

/**
 * The factor of a whole matrix.
 *
 * @param name of its tensor, for messages
 * @param of one FLOAT32
 * @param divisor whether numbers are divided by it
 */
public record FactorRows(String name, RowSource of, boolean divisor) implements DerivedRows {
  public FactorRows {
    of = WidenedRows.of(of);
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    of.read(row, rows, column, columns, into);
    float stored = into.get(ValueLayout.JAVA_FLOAT, 0);
    if (stored == 0 || !Float.isFinite(stored)) {
      throw new CheckpointException("%s is %s, expected a number other than 0", name, stored);
    }
    into.set(ValueLayout.JAVA_FLOAT, 0, divisor ? 1 / stored : stored);
  }
}
