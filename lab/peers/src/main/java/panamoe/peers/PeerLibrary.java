package panamoe.peers;

import java.util.function.Supplier;
import panamoe.lab.bench.LayerShape;

/** The peer libraries of this module, by their names in {@code panamoe bench --peer}. */
enum PeerLibrary {
  DJL(DjlLayer::version, DjlLayer::new),
  ONNXRUNTIME(OnnxLayer::version, OnnxLayer::new);

  private final Supplier<String> version;
  private final Layers layers;

  private interface Layers {
    PeerLayer of(LayerShape shape, int threads, LayerWeights weights) throws Exception;
  }

  PeerLibrary(Supplier<String> version, Layers layers) {
    this.version = version;
    this.layers = layers;
  }

  /** Loads the library and returns its version. */
  String version() {
    return version.get();
  }

  /** A layer with {@code weights}, computing in float32 on {@code threads} threads. */
  PeerLayer layer(LayerShape shape, int threads, LayerWeights weights) throws Exception {
    return layers.of(shape, threads, weights);
  }
}
