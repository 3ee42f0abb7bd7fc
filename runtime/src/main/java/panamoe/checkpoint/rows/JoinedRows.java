package panamoe.checkpoint.rows;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.tensor.DType;

/** The rows of several sources of one width, one after the other. */
public record JoinedRows(List<RowSource> parts) implements RowSource {
  /** Parts of different dtypes are widened. */
  public JoinedRows {
    long columns = parts.getFirst().columns();
    if (parts.stream().anyMatch(part -> part.columns() != columns)) {
      throw new CheckpointException(
          "rows of different widths are joined: "
              + parts.stream().map(part -> Long.toString(part.columns())).toList());
    }
    DType dtype = parts.getFirst().dtype();
    boolean alike = parts.stream().allMatch(part -> part.dtype() == dtype);
    parts = alike ? List.copyOf(parts) : parts.stream().map(WidenedRows::of).toList();
  }

  @Override
  public DType dtype() {
    return parts.getFirst().dtype();
  }

  @Override
  public long rows() {
    return parts.stream().mapToLong(RowSource::rows).sum();
  }

  @Override
  public long columns() {
    return parts.getFirst().columns();
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    long rowBytes = dtype().bytes(columns);
    long begin = 0;
    for (RowSource part : parts) {
      long end = begin + part.rows();
      long from = Math.max(row, begin);
      long to = Math.min(row + rows, end);
      if (from < to) {
        MemorySegment slice = into.asSlice((from - row) * rowBytes, (to - from) * rowBytes);
        part.read(from - begin, to - from, column, columns, slice);
      }
      begin = end;
    }
  }

  @Override
  public boolean encoded() {
    return parts.stream().anyMatch(RowSource::encoded);
  }

  @Override
  public Optional<RowSource> inBlocks() {
    List<RowSource> held = parts.stream().flatMap(part -> part.inBlocks().stream()).toList();
    boolean one = held.stream().map(RowSource::dtype).distinct().count() == 1;
    return one && held.size() == parts.size()
        ? Optional.of(new JoinedRows(held))
        : Optional.empty();
  }
}
