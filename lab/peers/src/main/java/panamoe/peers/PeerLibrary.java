package panamoe.peers;

import ai.onnxruntime.OrtException;
import panamoe.lab.bench.LayerShape;

/** The peer libraries of this module, by their names in {@code panamoe bench --peer}. */
enum PeerLibrary {
  DJL {
    @Override
    String version() {
      return DjlLayer.version();
    }

    @Override
    PeerLayer layer(LayerShape shape, int threads, LayerWeights weights) {
      return new DjlLayer(shape, threads, weights);
    }
  },
  ONNXRUNTIME {
    @Override
    String version() {
      return OnnxLayer.version();
    }

    @Override
    PeerLayer layer(LayerShape shape, int threads, LayerWeights weights) throws OrtException {
      return new OnnxLayer(shape, threads, weights);
    }
  };

  /** Loads the library and returns its version. */
  abstract String version();

  /** A layer with {@code weights}, computing in float32 on {@code threads} threads. */
  abstract PeerLayer layer(LayerShape shape, int threads, LayerWeights weights) throws Exception;
}
