package panamoe.nn;

import java.lang.foreign.ValueLayout;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ForkJoinPool;
import panamoe.config.AttentionConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.Rotary;
import panamoe.op.Pass;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Tables of a model's attention layers: the angles of each {@link Rotary}, temperatures, the shared
 * bias, and the first row of each head once rows are sorted by head. Used by one thread at a time.
 */
public final class AttentionTables {
  private record HeadRows(int heads, long rows) {}

  private record Temperatures(GroupedQueryConfig.Temperature of, int headSize) {
    /** Those of a layer; null without. */
    static Temperatures of(AttentionConfig layer) {
      return layer instanceof GroupedQueryConfig grouped && grouped.temperature() != null
          ? new Temperatures(grouped.temperature(), grouped.heads().size())
          : null;
    }
  }

  private final TensorScope scope;
  private final RelativePositions relative;
  private final Map<Rotary, RotaryTable> rotaries = new HashMap<>();
  private final Map<Temperatures, RotaryTable> temperatures = new HashMap<>();
  private final Map<HeadRows, Tensor> offsets = new HashMap<>();

  /**
   * @param scope holds the tables
   * @param positions P, longest sequence
   */
  public AttentionTables(TensorScope scope, int positions, Collection<AttentionConfig> layers) {
    this(scope, positions, layers, null, 1);
  }

  /**
   * @param relative bias by relative position; may be null
   * @param threads that make the tables
   */
  public AttentionTables(
      TensorScope scope,
      int positions,
      Collection<AttentionConfig> layers,
      RelativePositions relative,
      int threads) {
    this.scope = scope;
    this.relative = relative;
    try (ForkJoinPool pool = new ForkJoinPool(threads)) {
      for (AttentionConfig layer : layers) {
        if (layer.rotary() != null) {
          rotaries.computeIfAbsent(
              layer.rotary(), each -> RotaryTable.of(scope, positions, each, pool));
        }
        if (Temperatures.of(layer) instanceof Temperatures own) {
          temperatures.computeIfAbsent(
              own, each -> RotaryTable.of(scope, positions, each.of, each.headSize));
        }
      }
    }
  }

  /** Bytes of the angles and temperatures of {@code positions} tokens. */
  public static long bytes(int positions, Collection<AttentionConfig> layers) {
    int angles =
        layers.stream()
            .map(AttentionConfig::rotary)
            .filter(Objects::nonNull)
            .distinct()
            .mapToInt(Rotary::size)
            .sum();
    int factors =
        layers.stream()
            .map(Temperatures::of)
            .filter(Objects::nonNull)
            .distinct()
            .mapToInt(Temperatures::headSize)
            .sum();
    // Cosine and sine of half as many pairs.
    return (long) positions * (angles + factors) * DType.FLOAT32.bytes();
  }

  /** The bias by relative position, or null. */
  Tensor bias(Pass pass) {
    return relative == null ? null : relative.bias(pass);
  }

  /** The temperature as a rotation by 0 with an amplitude. */
  RotaryTable of(GroupedQueryConfig.Temperature temperature, int headSize) {
    return temperatures.get(new Temperatures(temperature, headSize));
  }

  RotaryTable of(Rotary rotary) {
    return rotaries.get(rotary);
  }

  /**
   * INT32 [H + 1]: 0, S, 2 S, ... Made by the first batch of S rows, so that a captured step copies
   * nothing from the host.
   */
  Tensor offsets(int heads, long rows) {
    return offsets.computeIfAbsent(new HeadRows(heads, rows), this::multiples);
  }

  private Tensor multiples(HeadRows of) {
    Tensor tensor = scope.allocate(DType.INT32, of.heads + 1);
    HostView view = HostView.of(tensor);
    for (int i = 0; i <= of.heads; i++) {
      view.memory().setAtIndex(ValueLayout.JAVA_INT, i, Math.toIntExact(i * of.rows));
    }
    view.write();
    return tensor;
  }
}
