package panamoe.text;

import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.api.Precision;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.open.InferenceMemory;
import panamoe.open.ModelFolder;
import panamoe.open.NamedAdapters;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/**
 * Options for opening a model.
 *
 * @param precision of activations, and of weights that are not in blocks
 * @param weights the form of matrices in memory
 * @param sequences generated at the same time, 1 to 1024. The key/value cache has room for a whole
 *     context of each, but takes at most half of the memory that the weights leave free. Further
 *     sequences wait
 * @param chatTemplate a file with a chat template in Jinja; null for the model's own, else that of
 *     its family (docs/chat-templates.md)
 * @param context tokens of the longest sequence, at most the model's; 0 for the model's own
 * @param progress told how much is loaded; null for nobody
 * @param adapters up to 8, of which a request chooses one by name: a run of {@code train --lora}, a
 *     folder of PEFT, or a GGUF file of llama.cpp
 */
public record ModelOptions(
    Precision precision,
    Weights weights,
    int sequences,
    Path chatTemplate,
    int context,
    LoadProgress progress,
    Map<String, Path> adapters) {
  /** Told how much of a model is loaded. */
  @FunctionalInterface
  public interface LoadProgress {
    /**
     * Called while the model is opened, by several threads, with growing numbers on each; at the
     * end both are equal. It returns at once and throws nothing.
     *
     * @param done bytes read so far
     * @param total bytes of the model's files
     */
    void loaded(long done, long total);
  }

  /** The form of matrices in memory: experts', attention's, the embedding, the head. */
  public enum Weights {
    /** The file's blocks, if kernels multiply by them. */
    STORED,
    /** 8.5 bits per element, rounded while loading. */
    INT8,
    /** 4.5 bits per element, rounded while loading; 6.6 in the embedding and the head. */
    INT4,
    /** The precision of everything else. */
    DECODED
  }

  /**
   * Checks the values.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if the precision or the weights are null, or
   *     the number of sequences or the context is out of range
   */
  public ModelOptions {
    Map<String, Path> given = adapters;
    Failures.run(
        () -> {
          Argument.notNull("precision", precision);
          Argument.notNull("weights", weights);
          Argument.notNull("adapters", given);
          Argument.require(
              sequences >= 1 && sequences <= MOST_SEQUENCES, "sequences", sequences, "1 to 1024");
          Argument.require(context >= 0, "context", context, "1 or more, or 0 for the model's");
        });
    adapters = Collections.unmodifiableMap(new LinkedHashMap<>(given));
  }

  /** FLOAT32, weights as stored, one sequence at a time. */
  public static final ModelOptions USUAL =
      new ModelOptions(Precision.FLOAT32, Weights.STORED, 1, null, 0, null, Map.of());

  private static final int MOST_SEQUENCES = 1024;

  /** These options with another precision. */
  public ModelOptions withPrecision(Precision value) {
    return new ModelOptions(value, weights, sequences, chatTemplate, context, progress, adapters);
  }

  /** These options with another form of matrices. */
  public ModelOptions withWeights(Weights value) {
    return new ModelOptions(precision, value, sequences, chatTemplate, context, progress, adapters);
  }

  /** These options with {@code value} sequences at a time. */
  public ModelOptions withSequences(int value) {
    return new ModelOptions(precision, weights, value, chatTemplate, context, progress, adapters);
  }

  /** These options with another chat template. */
  public ModelOptions withChatTemplate(Path file) {
    return new ModelOptions(precision, weights, sequences, file, context, progress, adapters);
  }

  /** These options with a shorter context; 0 for the model's own. */
  public ModelOptions withContext(int tokens) {
    return new ModelOptions(
        precision, weights, sequences, chatTemplate, tokens, progress, adapters);
  }

  /** These options with a listener of the load. */
  public ModelOptions withProgress(LoadProgress listener) {
    return new ModelOptions(
        precision, weights, sequences, chatTemplate, context, listener, adapters);
  }

  /** These options with another adapter of the model. */
  public ModelOptions withAdapter(String name, Path path) {
    Map<String, Path> more = new LinkedHashMap<>(adapters);
    more.put(name, path);
    return new ModelOptions(precision, weights, sequences, chatTemplate, context, progress, more);
  }

  NamedAdapters adapters(ModelFolder folder) {
    return NamedAdapters.read(
        folder,
        adapters.entrySet().stream()
            .map(it -> new NamedAdapters.Source(it.getKey(), it.getValue()))
            .toList());
  }

  /**
   * The memory that a model takes with these options on a CPU, in bytes, by part: weights, keys and
   * values, and buffers. Reads no weights.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if the path is null
   * @throws panamoe.api.PanamoeException.BadModel if there is no intact model
   */
  public Map<String, Long> memory(Path model) {
    return Failures.translating(
        () -> {
          ModelFolder whole = ModelFolder.open(Argument.notNull("model", model));
          ModelFolder folder = context == 0 ? whole : whole.withContext(context);
          return InferenceMemory.of(folder.config(), types(folder)).of(sequences, 0).parts();
        });
  }

  WeightTypes types(ModelFolder folder) {
    DType compute = DType.valueOf(precision.name()); // the facade has a subset of the dtypes
    return switch (weights) {
      case STORED -> {
        WeightTypes stored = folder.typesAsStored(compute);
        yield stored.quantized() ? stored : WeightTypes.of(compute);
      }
      case INT8 -> new WeightTypes(compute, DType.INT8_BLOCKS);
      case INT4 -> new WeightTypes(compute, DType.INT4_BLOCKS);
      case DECODED -> WeightTypes.of(compute);
    };
  }
}
