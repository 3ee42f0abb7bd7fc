package panamoe.comm.exchange;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import panamoe.comm.CollectiveCall;
import panamoe.tensor.RowBlocks;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorDevice;

/**
 * Rows that are sent in parts, so that one part is computed while the next is in transit. A part
 * holds an even share of each block, in the order of the blocks.
 */
public final class Parts {
  private final RowBlocks layout;
  private final long[] starts;

  /**
   * @param counts rows of each block
   * @param parts the number of parts
   */
  public Parts(long[] counts, int parts) {
    long[][] rows =
        IntStream.range(0, parts)
            .mapToObj(part -> shares(counts, part, parts))
            .toArray(long[][]::new);
    this.layout = BlockLayout.gather(rows);
    this.starts = new long[parts + 1];
    for (int part = 0; part < parts; part++) {
      starts[part + 1] = starts[part] + LongStream.of(rows[part]).sum();
    }
  }

  /** Rows of each block in one of several parts. */
  static long[] shares(long[] counts, int part, int parts) {
    return LongStream.of(counts).map(count -> CollectiveCall.share(count, part, parts)).toArray();
  }

  /** Rows of all parts. */
  public long rows() {
    return starts[starts.length - 1];
  }

  /** Views of the parts of a tensor [R or more, ...] that holds them contiguously. */
  public List<Tensor> of(Tensor parts) {
    List<Tensor> views = new ArrayList<>();
    IntStream.range(1, starts.length)
        .forEach(end -> views.add(parts.rows(starts[end - 1], starts[end])));
    return views;
  }

  public void cut(TensorDevice device, Tensor blocks, Tensor parts) {
    device.copyBlocks(layout.inverse(), blocks, parts);
  }

  public void join(TensorDevice device, Tensor parts, Tensor blocks) {
    device.copyBlocks(layout, parts, blocks);
  }
}
