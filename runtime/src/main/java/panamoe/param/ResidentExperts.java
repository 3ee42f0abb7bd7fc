package panamoe.param;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import panamoe.op.Pass;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Experts of a layer whose matrices are in memory: all of this rank, or one in a cache.
 *
 * @param offsets INT32, bounds of the rows of each
 * @param groups INT32, bounds of the rows of each and each adapter; null: no row has one
 * @param one null: all
 */
public record ResidentExperts(Pass pass, Tensor offsets, Tensor groups, One one) {
  /**
   * An expert in a cache.
   *
   * @param unit its matrices
   * @param from its first row
   */
  record One(int expert, MemorySegment unit, int from, int to) {}

  /**
   * Passes the experts with rows to {@code use}: all at once, or, if they are on a disk, one by one
   * while others are read.
   *
   * @param stack one of the layer's matrices
   * @param offsets INT32 [E + 1], of the rows of this rank's experts
   * @param groups INT32 [E * n + 1], of the rows of each of n adapters within them, or null
   * @param input [S, M] of the layer, to predict the next layer's experts, or null
   */
  public static void forEach(
      Pass pass,
      Parameter stack,
      Tensor offsets,
      Tensor groups,
      Tensor input,
      Consumer<ResidentExperts> use) {
    if (!(stack.weight() instanceof Weight.Offloaded(var cache, int first, _, var next))) {
      use.accept(new ResidentExperts(pass, offsets, groups, null));
      return;
    }
    int[] starts = offsets.toInts();
    int[] bounds = groups == null ? null : groups.toInts();
    int[] wanted =
        IntStream.range(0, starts.length - 1)
            .filter(e -> starts[e] < starts[e + 1])
            .map(e -> first + e)
            .toArray();
    cache.use(
        wanted,
        () -> next.accept(pass, input),
        (unit, expert) -> {
          int e = expert - first;
          Tensor rows = own(pass, starts, e, 1);
          int adapters = bounds == null ? 0 : (bounds.length - 1) / (starts.length - 1);
          Tensor parts = bounds == null ? null : own(pass, bounds, e * adapters, adapters);
          One one = new One(e, unit, starts[e], starts[e + 1]);
          use.accept(new ResidentExperts(pass, rows, parts, one));
        });
  }

  /** Bounds of an expert's groups among its own rows. */
  private static Tensor own(Pass pass, int[] bounds, int first, int groups) {
    int[] own = Arrays.copyOfRange(bounds, first, first + groups + 1);
    int start = own[0];
    Arrays.setAll(own, i -> own[i] - start);
    return pass.allocate(DType.INT32, own.length).set(own);
  }

  /** The rows of these experts. */
  public Tensor rows(Tensor all) {
    return one == null ? all : all.rows(one.from, one.to);
  }

  /** These experts' part of a stacked parameter; null for null. */
  public Tensor of(Parameter stack) {
    if (one == null || stack == null) {
      return Parameter.valueOf(stack);
    }
    return stack.weight() instanceof Weight.Offloaded offloaded
        ? offloaded.layouts().get(one.expert).in(pass.scope(), one.unit)
        : stack.value().rows(one.expert, one.expert + 1);
  }
}
