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
    int ranks = topology.tensorDegree();
    long keysAndValues =
        model.config().blocks().stream()
            .mapToLong(block -> (long) block.attention().cacheBytes(length - 1L, 1, ranks, cached))
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
    if (total() > availableBytes) {
      throw new CheckpointException(
          "%s takes %s for its weights, %s for the keys and values of a sequence and %s for tables,"
              + " but only %s are available; spread it over machines, take a smaller --dtype or --quantize, or leave"
              + " experts on the disk with --memory",
          model,
          Count.bytes(weights),
          Count.bytes(keysAndValues),
          Count.bytes(buffers),
          Count.bytes(availableBytes));
    }
  }

  /**
   * Refuses a model whose parts do not fit into a machine's memory together. All ranks call it at
   * the same time, unless they compute on GPUs with their own memory.
   *
   * @param settings of each rank
   * @param availableBytes on this machine
   * @throws CheckpointException on every rank of such a machine
   */
  static void requireShares(
      ModelFolder folder, InferenceSettings settings, Ranks ranks, long availableBytes) {
    long mine;
    try (LanguageModel share = new LanguageModel(folder.config(), ranks)) {
      mine = Math.min(ofRank(share, settings.types()), settings.memory());
    }
    long[] all = ranks.world().allGather(ranks.world().node(), mine);
    long together = 0;
    int sharing = 0;
    for (int rank = 0; rank < ranks.world().size(); rank++) {
      if (all[2 * rank] == ranks.world().node()) {
        together += all[2 * rank + 1];
        sharing++;
      }
    }
    if (together > availableBytes) {
      throw new CheckpointException(
          "%s takes %s for the weights of the %d ranks of this machine, but only %s are"
              + " available; spread it over more machines, take a smaller --dtype or --quantize, or leave"
              + " experts on the disk with --memory",
          folder.path(), Count.bytes(together), sharing, Count.bytes(availableBytes));
    }
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
