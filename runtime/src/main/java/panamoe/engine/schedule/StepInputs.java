package panamoe.engine.schedule;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.op.AdapterRows;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The inputs of a step's kernels, in one tensor so that a GPU gets them by one copy: the block
 * table, which stays from step to step, and the step's rows. The host writes to the tensor itself,
 * or to a copy of a GPU's. Of the table only changes are copied.
 */
final class StepInputs {
  /** Elements in 64 bytes, the alignment of parts. */
  private static final int ALIGNED = 16;

  /** Elements in 16 KiB: table changes this close to the rows are copied with them. */
  private static final int NEAR = 4096;

  private final int perSequence;
  private final int tableElements;
  private final int choices;
  private final Tensor all;
  private final Tensor table;
  private final HostView host;
  // The first element in which the kernels' copy differs from the host's.
  private int changed;

  /**
   * @param slots rows of the table
   * @param perSequence blocks of a slot
   * @param most rows of a step
   * @param choices adapters of a row, with none; 0 for a model without adapters to choose from
   */
  StepInputs(TensorScope scope, int slots, int perSequence, int most, int choices) {
    this.perSequence = perSequence;
    this.choices = choices;
    this.tableElements = aligned(Math.multiplyExact(slots, perSequence));
    this.all =
        scope.zeros(
            DType.INT32,
            Math.addExact(tableElements, 4 * aligned(most) + 2 * aligned(choices + 1)));
    this.table = part(0, slots, perSequence);
    this.host = HostView.of(all);
    this.changed = tableElements;
    host.read();
  }

  private static int aligned(int elements) {
    return Math.ceilDiv(elements, ALIGNED) * ALIGNED;
  }

  /** INT32 [slots, blocks]. */
  Tensor table() {
    return table;
  }

  /** INT32 [rows] of a step with as many rows. */
  Tensor tokens(int rows) {
    return part(start(0, rows), rows);
  }

  /** INT32 [rows] of a step with as many rows. */
  Tensor slots(int rows) {
    return part(start(1, rows), rows);
  }

  /** INT32 [rows] of a step with as many rows. */
  Tensor positions(int rows) {
    return part(start(2, rows), rows);
  }

  /** INT32 [wanted]: the rows whose logits are asked for, of a step with {@code rows} rows. */
  Tensor wanted(int rows, int wanted) {
    return part(start(3, rows), wanted);
  }

  /** The adapters of a step's rows; null if no row has one. */
  AdapterRows adapters(StepRows rows) {
    return rows.adapted
        ? new AdapterRows(rows.starts(choices), part(start(4, rows.count), choices + 1))
        : null;
  }

  /** The adapters of a step's wanted rows; null if no row has one. */
  AdapterRows wantedAdapters(StepRows rows) {
    return rows.adapted
        ? new AdapterRows(
            rows.wantedStarts(choices),
            part(start(4, rows.count) + aligned(choices + 1), choices + 1))
        : null;
  }

  private int start(int list, int rows) {
    return tableElements + list * aligned(rows);
  }

  private Tensor part(long start, long... shape) {
    return all.part(start * Integer.BYTES, DType.INT32, shape);
  }

  /** Changes the table; the next {@link #fill} copies the changes. */
  void changeTable(StepRows rows) {
    MemorySegment to = host.memory();
    int start = 0; // of a run of consecutive elements
    int end = 0;
    for (int i = 0; i < rows.changedSlots.size(); i++) {
      int place = rows.changedSlots.get(i) * perSequence + rows.changedIndices.get(i);
      to.setAtIndex(ValueLayout.JAVA_INT, place, rows.changedBlocks.get(i));
      if (place >= tableElements - NEAR) {
        changed = Math.min(changed, place);
        continue;
      }
      if (place != end) {
        write(start, end);
        start = place;
      }
      end = place + 1;
    }
    write(start, end);
  }

  private void write(long start, long end) {
    if (start < end) {
      host.write(start * Integer.BYTES, end * Integer.BYTES);
    }
  }

  /** Copies a step's rows and the table's changes to the kernels' tensor. */
  void fill(StepRows rows) {
    int count = rows.count;
    copy(rows.tokens, count, start(0, count));
    copy(rows.slots, count, start(1, count));
    copy(rows.positions, count, start(2, count));
    copy(rows.wanted, rows.wantedCount, start(3, count));
    int end = start(3, count) + rows.wantedCount;
    if (choices > 0) {
      int starts = start(4, count);
      end = starts + aligned(choices + 1) + choices + 1;
      copy(rows.starts(choices), choices + 1, starts);
      copy(rows.wantedStarts(choices), choices + 1, starts + aligned(choices + 1));
    }
    write(changed, end);
    changed = tableElements;
  }

  private void copy(int[] from, int count, int start) {
    MemorySegment.copy(
        from, 0, host.memory(), ValueLayout.JAVA_INT, (long) start * Integer.BYTES, count);
  }
}
