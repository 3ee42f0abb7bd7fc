package panamoe.lab.conformance.replay;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.io.Require;
import panamoe.param.Parameter;

/**
 * Maps a peer's tensors to the parameters of our layer: they are concatenated, permuted and scaled.
 * Gradients take the inverse way and are compared under the peer's names and layout.
 */
public final class WeightMap {
  private final String weightPrefix;
  private final String gradientPrefix;
  private final Map<String, Row> rows = new LinkedHashMap<>();

  /**
   * @param names of the peer's tensors, without a prefix
   * @param given values instead of the tensors, or null
   */
  private record Row(List<String> names, Axes axes, double factor, float[] given) {
    /** The peer's tensors of the experts that this rank holds. */
    List<String> names(Parameter parameter) {
      if (names.stream().noneMatch(name -> name.contains("%d"))) {
        return names;
      }
      List<String> all = new ArrayList<>();
      for (int i = 0; i < parameter.matrices(); i++) {
        String expert = Integer.toString(parameter.expert(i));
        names.forEach(name -> all.add(name.replace("%d", expert)));
      }
      return all;
    }
  }

  /** Weights are recorded as {@code w.NAME}, gradients as {@code grad.NAME}. */
  public WeightMap() {
    this("w.", "grad.");
  }

  /** The prefixes of the names of weights and of their gradients. */
  public WeightMap(String weightPrefix, String gradientPrefix) {
    this.weightPrefix = weightPrefix;
    this.gradientPrefix = gradientPrefix;
  }

  /**
   * A parameter in the peer's layout.
   *
   * @param parameter name without the layer's prefix
   * @param names {@code %d} is replaced by the index of an expert: all names of expert 0, then of
   *     expert 1, ...
   */
  public WeightMap put(String parameter, String... names) {
    return put(parameter, Axes.SAME, names);
  }

  /** A parameter in another layout than the peer's. */
  public WeightMap put(String parameter, Axes axes, String... names) {
    rows.put(parameter, new Row(List.of(names), axes, 1, null));
    return this;
  }

  /** A parameter times {@code factor}. */
  public WeightMap scaled(String parameter, double factor, String... names) {
    rows.put(parameter, new Row(List.of(names), Axes.SAME, factor, null));
    return this;
  }

  /** Given values; their gradients are not compared. */
  public WeightMap given(String parameter, float[] values) {
    rows.put(parameter, new Row(List.of(), Axes.SAME, 1, values));
    return this;
  }

  /**
   * Sets a parameter's values.
   *
   * @param name without the layer's prefix
   * @throws IllegalArgumentException if it is not in the map, or the recorded tensors do not fit
   */
  void load(GoldenFile golden, String name, Parameter parameter) {
    Row row = row(name);
    float[] values =
        row.given != null
            ? row.given
            : Layouts.scaled(
                row.axes.ordered(golden.stacked(prefixed(weightPrefix, row, parameter))),
                row.factor);
    if (values.length != parameter.count()) {
      throw new IllegalArgumentException(
          parameter + " takes " + parameter.count() + " numbers, recorded are " + values.length);
    }
    parameter.master().set(values);
  }

  /**
   * Compares a parameter's gradient, tensor by tensor of the peer. If the peer recorded none, ours
   * must be 0.
   */
  void compareGradient(Replay replay, String name, Parameter parameter) {
    Row row = row(name);
    if (row.given != null) {
      return;
    }
    float[] ours = Layouts.scaled(row.axes.restored(parameter.gradient().toFloats()), row.factor);
    int from = 0;
    for (String peer : row.names(parameter)) {
      int to = from + replay.golden().floats(weightPrefix + peer).length;
      float[] part = Arrays.copyOfRange(ours, from, to);
      if (replay.golden().has(gradientPrefix + peer)) {
        replay.close(gradientPrefix + peer, part);
      } else {
        replay.close(gradientPrefix + peer + " (none recorded)", new float[part.length], part);
      }
      from = to;
    }
  }

  private Row row(String name) {
    Row row = rows.get(name);
    Require.that(row != null, "no recorded weight is known for parameter %s", name);
    return row;
  }

  private static List<String> prefixed(String prefix, Row row, Parameter parameter) {
    return row.names(parameter).stream().map(name -> prefix + name).toList();
  }
}
