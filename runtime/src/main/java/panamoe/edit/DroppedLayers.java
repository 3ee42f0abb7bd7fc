package panamoe.edit;

import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import panamoe.config.ModelConfig;
import panamoe.io.Require;
import panamoe.model.KeptLayers;

/** A model without some of its layers; the others keep their bits. */
public record DroppedLayers(ModelConfig config, KeptLayers kept) implements Edit {
  /**
   * @param dropped indices from 0, in any order
   * @throws IllegalArgumentException if the model has no such layer, one is named twice, or none is
   *     left
   */
  public static DroppedLayers of(ModelConfig model, List<Integer> dropped) {
    for (int layer : dropped) {
      LayerNames.requireLayer(model, layer, "be dropped");
      Require.that(Collections.frequency(dropped, layer) <= 1, "layer %s is named twice", layer);
    }
    List<Integer> kept =
        IntStream.range(0, model.layers()).boxed().filter(i -> !dropped.contains(i)).toList();
    if (kept.isEmpty()) {
      throw new IllegalArgumentException(
          "all " + model.layers() + " layers would be dropped, at least one has to stay");
    }
    KeptLayers layers = new KeptLayers(kept);
    return new DroppedLayers(layers.config(model), layers);
  }

  /** The unchanged model. */
  public static DroppedLayers none(ModelConfig model) {
    return of(model, List.of());
  }

  @Override
  public float[] tensor(String name, Source source) {
    return source.read(kept.source(name));
  }
}
