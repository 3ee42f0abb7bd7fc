package panamoe.checkpoint;

import java.lang.foreign.MemorySegment;
import panamoe.backend.Backend;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Rows of a target that one thread reads.
 *
 * @param name of the weight
 * @param to the target; null for a tensor that is only read for the checksum
 * @param from the first row of the share
 * @param end the row after the last one
 */
record ReadTask(String name, RowSource source, LoadTarget to, long from, long end, long bytes) {

  DType dtype() {
    return source.dtype();
  }

  long elements() {
    return bytes / dtype().blockBytes() * dtype().blockElements();
  }

  /** Fills {@code into} with the rows, which may not be contiguous in the source. */
  void read(MemorySegment into) {
    LoadTarget.Share share = to == null ? LoadTarget.Share.WHOLE : to.share();
    long columns = source.columns();
    if (share.whole()) {
      source.read(from, end - from, 0, columns, into);
    } else if (share.axis() == 0) {
      long rowBytes = bytes / (end - from);
      long held = source.rows() / share.blocks() / share.of();
      for (long row = from, next; row < end; row = next) {
        next = Math.min(end, (row / held + 1) * held);
        long stored = (row / held * share.of() + share.member()) * held + row % held;
        MemorySegment rows = into.asSlice((row - from) * rowBytes, (next - row) * rowBytes);
        source.read(stored, next - row, 0, columns, rows);
      }
    } else {
      long held = columns / share.blocks() / share.of();
      long rows = share.blocks() == 1 ? end - from : 1; // columns of one block are contiguous
      long runBytes = dtype().bytes(rows * held);
      for (long row = from, at = 0; row < end; row += rows) {
        for (long block = 0; block < share.blocks(); block++, at += runBytes) {
          long column = (block * share.of() + share.member()) * held;
          source.read(row, rows, column, held, into.asSlice(at, runBytes));
        }
      }
    }
  }

  /** The shape of the rows in the target; a row of bytes without a target. */
  long[] shape() {
    if (to == null) {
      return new long[] {bytes};
    }
    long[] shape = to.shareShape();
    if (shape.length > 0) {
      shape[0] = end - from;
    }
    return shape;
  }

  /** These rows of a target of the backend. */
  Tensor part(Tensor target, Backend backend) {
    if (target.rank() == 0 || from == 0 && end == target.size(0)) {
      return target;
    }
    if (!target.packed()) {
      return target.rows(from, end);
    }
    return target.rank() == 3
        ? backend.packedMatrices(target, from, end)
        : backend.packedRows(target, from, end);
  }
}
