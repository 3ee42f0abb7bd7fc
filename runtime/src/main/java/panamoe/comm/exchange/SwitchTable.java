package panamoe.comm.exchange;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import panamoe.comm.Communicator;
import panamoe.io.Words;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorDevice;
import panamoe.tensor.TensorScope;

/**
 * Measured times of both strategies for a few message sizes; all ranks have the same table.
 *
 * @param rows by increasing size, at least one
 */
public record SwitchTable(List<Row> rows) {
  private static final long[] SIZES = {4 << 10, 32 << 10, 256 << 10, 1 << 20};
  private static final int REPEATS = 3;
  private static final int ROW_BYTES = 64;

  /**
   * @param bytes that each rank sends in total
   * @param flatSeconds best time of the slowest rank
   * @param hierarchicalSeconds best time of the slowest rank
   */
  public record Row(long bytes, double flatSeconds, double hierarchicalSeconds) {}

  /** Measures the table. Collective. */
  static SwitchTable measure(
      Communicator group, Levels levels, Workspace workspace, TensorDevice device) {
    List<Row> table = new ArrayList<>();
    int size = group.size();
    for (long bytes : SIZES) {
      long rows = Math.max(1, bytes / ROW_BYTES / size);
      long[] even = LongStream.generate(() -> rows).limit(size).toArray();
      AllToAll flat = new FlatAllToAll(group, even, even);
      AllToAll hierarchical = new HierarchicalAllToAll(levels, workspace, even, even, even);
      try (TensorScope scope = TensorScope.confined(device)) {
        Tensor sent = scope.zeros(DType.UINT8, size * rows, ROW_BYTES);
        Tensor arrived = scope.allocate(DType.UINT8, size * rows, ROW_BYTES);
        table.add(
            new Row(
                sent.bytes(),
                seconds(group, device, flat, sent, arrived),
                seconds(group, device, hierarchical, sent, arrived)));
      }
    }
    return new SwitchTable(table);
  }

  private static double seconds(
      Communicator group, TensorDevice device, AllToAll allToAll, Tensor sent, Tensor arrived) {
    allToAll.forward(sent, arrived);
    device.synchronize();
    double best = Double.POSITIVE_INFINITY;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
      group.barrier();
      double start = group.seconds();
      allToAll.forward(sent, arrived);
      device.synchronize();
      best = Math.min(best, group.seconds() - start);
    }
    long[] all = group.allGather(Double.doubleToRawLongBits(best));
    return LongStream.of(all).mapToDouble(Double::longBitsToDouble).max().orElseThrow();
  }

  /** The faster strategy at the measured size nearest to {@code bytes}, on a logarithmic scale. */
  public Strategy choose(long bytes) {
    Row nearest = rows.getFirst();
    for (Row row : rows) {
      if (distance(row.bytes, bytes) < distance(nearest.bytes, bytes)) {
        nearest = row;
      }
    }
    return nearest.hierarchicalSeconds < nearest.flatSeconds
        ? Strategy.HIERARCHICAL
        : Strategy.FLAT;
  }

  private static double distance(long measured, long bytes) {
    return Math.abs(Math.log((double) Math.max(1, bytes) / measured));
  }

  /** One line per size: bytes, and microseconds of both strategies. */
  @Override
  public String toString() {
    return rows.stream()
        .map(
            row ->
                Words.of(
                    "%9d bytes: flat %9.1f us, hierarchical %9.1f us",
                    row.bytes, row.flatSeconds * 1e6, row.hierarchicalSeconds * 1e6))
        .collect(Collectors.joining("\n"));
  }
}
