package panamoe.open;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.checkpoint.CheckpointException;
import panamoe.config.ModelConfig;
import panamoe.io.Count;
import panamoe.io.MemoryParts;
import panamoe.model.LanguageModel;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Memory for inference in bytes, by a model's configuration.
 *
 * @param weights in their dtypes, without the padding of packed matrices
 * @param keysAndValues of the sequences, with those of an encoder
 * @param buffers tables of positions, and activations of a step if counted
 */
public record InferenceMemory(long weights, long keysAndValues, long buffers)
    implements MemoryParts {
  /**
   * For a sequence as long as the context, on a CPU.
   *
   * @param types of weights; keys and values have the dtype of activations
   */
  public static InferenceMemory of(ModelConfig config, WeightTypes types) {
    return of(config, types, types.compute(), config.context(), true);
  }

  /**
   * For a sequence of {@code length} tokens.
   *
   * @param cached dtype of keys and values
   * @param onHost whether weights are in host memory; on a GPU blocks stay as they are stored
   */
  public static InferenceMemory of(
      ModelConfig config, WeightTypes types, DType cached, int length, boolean onHost) {
    try (LanguageModel model = new LanguageModel(config)) {
      return of(model, types, cached, length, onHost, Topology.ONE);
    }
  }

  /**
   * For a sequence of {@code length} tokens, on the rank that holds most.
   *
   * @param model the whole model, without memory
   */
  public static InferenceMemory of(
      LanguageModel model,
      WeightTypes types,
      DType cached,
      int length,
      boolean onHost,
      Topology topology) {
    long weights = 0;
    for (Parameter parameter : model.parameters().parameters()) {
      long elements = Tensor.count(parameter.matrixShape(topology));
      weights += types.bytes(parameter, parameter.matrices(topology), elements, onHost);
    }
    return of(model, weights, cached, length, topology.tensorDegree());
  }

  private static InferenceMemory of(
      LanguageModel model, long weights, DType cached, int length, int tensorRanks) {
    long keysAndValues =
        model.config().blocks().stream()
            .mapToLong(
                block -> (long) block.attention().cacheBytes(length - 1L, 1, tensorRanks, cached))
            .sum();
    return new InferenceMemory(
        weights, keysAndValues + ofEncodedText(model.config(), cached), model.tableBytes());
  }

  /** For several sequences, with the activations of a step. */
  public InferenceMemory of(long texts, long activations) {
    return new InferenceMemory(weights, texts * keysAndValues, buffers + activations);
  }

  /** With at most {@code most} bytes of weights. */
  public InferenceMemory within(long most) {
    return new InferenceMemory(Math.min(weights, most), keysAndValues, buffers);
  }

  /** Bytes of keys and values of an encoded sequence, at the context; 0 without an encoder. */
  public static long ofEncodedText(ModelConfig config, DType cached) {
    return config.encoder() == null
        ? 0
        : config.context()
            * config.blocks().stream()
                .mapToLong(block -> block.attention().cacheRow(1).bytes(cached))
                .sum();
  }

  /**
   * Refuses a model that does not fit.
   *
   * @param model for messages
   * @throws CheckpointException with the needed and the available bytes
   */
  public void requireFits(Path model, long availableBytes) {
    requireFits(model, "its weights", availableBytes);
  }

  private void requireFits(Path model, String held, long availableBytes) {
    if (total() > availableBytes) {
      throw new CheckpointException(
          "%s takes %s for %s, %s for the keys and values of a sequence and %s for tables,"
              + " but only %s are available; spread it over more machines, take a smaller --dtype or --quantize, or leave"
              + " experts on the disk with --memory",
          model,
          Count.bytes(weights),
          held,
          Count.bytes(keysAndValues),
          Count.bytes(buffers),
          Count.bytes(availableBytes));
    }
  }

  /**
   * Keys and values of a sequence.
   *
   * @param tokens of the sequence; 0 for no keys and values
   */
  public record Cached(DType dtype, int tokens) {}

  /**
   * Refuses a model whose parts do not fit into a machine's memory together. All ranks call it at
   * the same time, unless they compute on GPUs with their own memory.
   *
   * @param settings of each rank
   * @param cached of a sequence, which every rank holds for its heads
   * @param availableBytes on this machine
   * @throws CheckpointException on every rank of such a machine
   */
  public static void requireShares(
      ModelFolder folder,
      InferenceSettings settings,
      Cached cached,
      Ranks ranks,
      long availableBytes) {
    InferenceMemory mine;
    try (LanguageModel share = new LanguageModel(folder.config(), ranks)) {
      long weights = Math.min(ofRank(share, settings.types()), settings.memory());
      mine = of(share, weights, cached.dtype, cached.tokens, ranks.tensor().size());
    }
    int node = ranks.world().node();
    long[] all = ranks.world().allGather(node, mine.weights, mine.keysAndValues, mine.buffers);
    InferenceMemory together = new InferenceMemory(0, 0, 0);
    int sharing = 0;
    for (int rank = 0; rank < all.length; rank += 4) {
      if (all[rank] == node) {
        together = together.plus(all[rank + 1], all[rank + 2], all[rank + 3]);
        sharing++;
      }
    }
    together.requireFits(
        folder.path(), "the weights of the " + sharing + " ranks of this machine", availableBytes);
  }

  private InferenceMemory plus(long moreWeights, long moreKeysAndValues, long moreBuffers) {
    return new InferenceMemory(
        weights + moreWeights, keysAndValues + moreKeysAndValues, buffers + moreBuffers);
  }

  /** Bytes of this rank's weights, on a CPU. */
  static long ofRank(LanguageModel model, WeightTypes types) {
    return model.parameters().parameters().stream().mapToLong(types::packedBytes).sum();
  }

  @Override
  public Map<String, Long> parts() {
    Map<String, Long> parts = new LinkedHashMap<>();
    parts.put("weights", weights);
    parts.put("keys and values", keysAndValues);
    if (buffers > 0) {
      parts.put("buffers", buffers);
    }
    return parts;
  }
}
