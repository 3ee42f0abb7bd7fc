package panamoe.open;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import panamoe.engine.routes.RouteStatistics;
import panamoe.engine.routes.RoutedLayer;
import panamoe.io.ConfigJson;
import panamoe.io.SafeFolder;

/**
 * How often rows chose each expert of a model, summed over servers: a file for each model in the
 * user's cache folder. A damaged file counts as missing.
 */
public final class ExpertHeat {
  /**
   * The counts of one MoE layer.
   *
   * @param layer its index among all layers, from 0
   * @param tokens [E], rows that chose each expert
   */
  public record Layer(int layer, long[] tokens) {
    public Layer {
      Objects.requireNonNull(tokens);
    }

    private boolean fits(RoutedLayer routed) {
      return layer == routed.layer()
          && tokens.length == routed.experts()
          && Arrays.stream(tokens).allMatch(count -> count >= 0);
    }

    private Layer plus(long[] more) {
      long[] sums = tokens.clone();
      Arrays.setAll(sums, expert -> sums[expert] + more[expert]);
      return new Layer(layer, sums);
    }
  }

  /**
   * The file.
   *
   * @param model identifies its weights
   */
  record Saved(String model, List<Layer> layers) {
    Saved {
      Objects.requireNonNull(model);
      layers = List.copyOf(layers);
    }
  }

  private static final int NAME_DIGITS = 32;
  private static final int MOST_BYTES = 64 << 20;

  private final SafeFolder folder;
  private final String name;
  private final String model;
  private final List<Layer> before;

  /**
   * Reads the counts of a model.
   *
   * @param folder of the file; it need not exist
   */
  public ExpertHeat(Path folder, ModelFolder of) {
    this.folder = new SafeFolder(folder);
    this.model = of.weights().sha256();
    this.name = model.substring(0, Math.min(NAME_DIGITS, model.length())) + ".heat.json";
    this.before = read(folder.resolve(name), RoutedLayer.of(of.config()));
  }

  private List<Layer> read(Path file, List<RoutedLayer> layers) {
    if (Files.isRegularFile(file)) {
      try {
        Saved saved = ConfigJson.read(file, Saved.class, MOST_BYTES);
        if (saved.model.equals(model)
            && saved.layers.size() == layers.size()
            && IntStream.range(0, layers.size())
                .allMatch(i -> saved.layers.get(i).fits(layers.get(i)))) {
          return saved.layers;
        }
      } catch (IllegalArgumentException _) {
        // an unreadable file: counts start again at zero
      }
    }
    return layers.stream()
        .map(layer -> new Layer(layer.layer(), new long[layer.experts()]))
        .toList();
  }

  /** The counts as they were read, for each MoE layer. */
  public List<Layer> layers() {
    return before;
  }

  /**
   * Writes the counts that were read plus those since then, atomically.
   *
   * @param since all routes of this process
   * @throws IOException if the folder cannot be written
   */
  public void save(RouteStatistics since) throws IOException {
    List<Layer> sums =
        IntStream.range(0, before.size())
            .mapToObj(i -> before.get(i).plus(since.layers().get(i).tokens()))
            .toList();
    folder.make();
    folder.replace(name, ConfigJson.text(new Saved(model, sums)).getBytes(StandardCharsets.UTF_8));
  }
}
