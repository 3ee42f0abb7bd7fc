package panamoe.engine.schedule;

import java.util.Arrays;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.engine.EngineConfig;
import panamoe.model.LanguageModel;
import panamoe.nn.KeyValueCache;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** Finds the layer in which a sequence's values stop being finite, by computing again. */
final class NonFiniteLayer {
  private NonFiniteLayer() {}

  /**
   * The first layer whose output is not finite for the first {@code count} of {@code tokens}; -1 if
   * all are finite. A bad value of one token reaches later tokens through the cache, one layer
   * further on. All tokens are therefore computed, in parts of at most {@code rows}, and the first
   * part with such an output decides.
   *
   * @param keyValues dtype of the cache
   * @param mostExperts experts per row for each layer; null for the gates' own K
   */
  static int of(
      Backend backend,
      LanguageModel model,
      DType keyValues,
      int[] tokens,
      int count,
      int rows,
      int[] mostExperts) {
    int block = EngineConfig.BLOCK;
    int blocks = Math.ceilDiv(count, block);
    try (TensorScope scope = TensorScope.confined(backend)) {
      KeyValueCache cache = model.cache(scope, keyValues, blocks, block);
      Tensor table =
          scope.allocate(DType.INT32, 1, blocks).set(IntStream.range(0, blocks).toArray());
      for (int first = 0; first < count; first += rows) {
        int end = Math.min(count, first + rows);
        try (TensorScope activations = TensorScope.confined(backend)) {
          Tensor ids =
              activations
                  .allocate(DType.INT32, end - first)
                  .set(Arrays.copyOfRange(tokens, first, end));
          Tensor positions =
              activations
                  .allocate(DType.INT32, end - first)
                  .set(IntStream.range(first, end).toArray());
          Tensor slots = activations.zeros(DType.INT32, end - first);
          try {
            model.forward(
                Pass.inference(backend, activations).limitedTo(mostExperts),
                ids,
                new Sequences.Running(cache, table, slots, positions),
                null,
                false);
            backend.synchronize();
          } catch (IllegalArgumentException _) {
            // A gate refuses such values, so the last computed layer is its own.
          }
          int layer = model.firstNonFiniteLayer(backend);
          if (layer >= 0) {
            return layer;
          }
        }
      }
    }
    return -1;
  }
}
