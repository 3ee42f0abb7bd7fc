package panamoe.model;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import panamoe.config.ModelConfig;
import panamoe.io.Require;

/**
 * The layers of a model that a shallower one keeps: layer i of the shallower one has the shape of
 * layer {@code layers.get(i)}, and may start from its weights.
 *
 * @param layers indices from 0, ascending
 */
public record KeptLayers(List<Integer> layers) {
  private static final String PREFIX = "layers.";

  public KeptLayers {
    layers = List.copyOf(layers);
    Require.that(!layers.isEmpty(), "no layer is kept, expected one or more");
    for (int i = 0; i < layers.size(); i++) {
      int before = i == 0 ? -1 : layers.get(i - 1);
      if (layers.get(i) <= before) {
        throw new IllegalArgumentException(
            "layers to keep are " + layers + ", expected numbers from 0 in ascending order");
      }
    }
  }

  /**
   * The first layer and the last {@code count - 1}: the first is needed to read the embedding, and
   * the last ones keep the top of a pyramid. The paper's student of 21 layers, with 32 x 8 and 64 x
   * 2 experts, keeps these of its teacher's 24.
   *
   * @throws IllegalArgumentException if the model has fewer layers
   */
  public static KeptLayers of(int count, ModelConfig model) {
    int all = model.layers();
    if (count < 1 || count > all) {
      throw new IllegalArgumentException(
          count + " layers to keep, but the model has " + all + ": expected 1 to " + all);
    }
    IntStream last = IntStream.range(all - Math.max(1, count - 1), all);
    return new KeptLayers(
        (count == 1 ? last : IntStream.concat(IntStream.of(0), last)).boxed().toList());
  }

  /**
   * The shallower model's config.
   *
   * @throws IllegalArgumentException if the deeper model has no such layer
   */
  public ModelConfig config(ModelConfig deeper) {
    if (layers.getLast() >= deeper.layers()) {
      throw Require.refusal(
          "layer %s cannot be kept: the model's layers are 0 to %s",
          layers.getLast(), deeper.layers() - 1);
    }
    return deeper.withBlocks(layers.stream().map(deeper.blocks()::get).toList());
  }

  /**
   * Refuses a shallower model that cannot start from the deeper one's weights.
   *
   * @throws IllegalArgumentException with the first tensor of another shape
   */
  public void requireFits(ModelConfig shallower, ModelConfig deeper) {
    if (layers.size() != shallower.layers()) {
      throw new IllegalArgumentException(
          layers.size() + " layers are kept for a model of " + shallower.layers());
    }
    config(deeper);
    Map<String, long[]> held = ModelTensors.shapes(deeper);
    ModelTensors.shapes(shallower)
        .forEach(
            (name, shape) -> {
              long[] other = held.get(source(name));
              if (!Arrays.equals(shape, other)) {
                throw Require.refusal(
                    "%s is %s and cannot start from the deeper model's %s, which is %s",
                    name,
                    Arrays.toString(shape),
                    source(name),
                    other == null ? "not there" : Arrays.toString(other));
              }
            });
  }

  /** The name in the deeper model of a tensor of the shallower one. */
  public String source(String name) {
    if (!name.startsWith(PREFIX)) {
      return name;
    }
    int end = name.indexOf('.', PREFIX.length());
    int layer = Integer.parseInt(name.substring(PREFIX.length(), end));
    return PREFIX + layers.get(layer) + name.substring(end);
  }
}
