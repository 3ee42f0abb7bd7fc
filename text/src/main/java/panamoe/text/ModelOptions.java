package panamoe.text;

import java.nio.file.Path;
import panamoe.api.Precision;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/**
 * Options for opening a model.
 *
 * @param precision of activations, and of weights that are not in blocks
 * @param weights the form of matrices in memory
 * @param sequences generated at the same time, 1 or more: the key/value cache has room for a whole
 *     context of each. Further ones wait
 * @param chatTemplate a file with a chat template in Jinja; null for the model's own, else that of
 *     its family (docs/chat-templates.md)
 */
public record ModelOptions(Precision precision, Weights weights, int sequences, Path chatTemplate) {
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
   *     the number of sequences is less than 1
   */
  public ModelOptions {
    Failures.run(
        () -> {
          Argument.notNull("precision", precision);
          Argument.notNull("weights", weights);
          Argument.require(sequences >= 1, "sequences", sequences, "1 or more");
        });
  }

  /** FLOAT32, weights as stored, one sequence at a time. */
  public static final ModelOptions USUAL =
      new ModelOptions(Precision.FLOAT32, Weights.STORED, 1, null);

  /** These options with another precision. */
  public ModelOptions withPrecision(Precision value) {
    return new ModelOptions(value, weights, sequences, chatTemplate);
  }

  /** These options with another form of matrices. */
  public ModelOptions withWeights(Weights value) {
    return new ModelOptions(precision, value, sequences, chatTemplate);
  }

  /** These options with {@code value} sequences at a time. */
  public ModelOptions withSequences(int value) {
    return new ModelOptions(precision, weights, value, chatTemplate);
  }

  /** These options with another chat template. */
  public ModelOptions withChatTemplate(Path file) {
    return new ModelOptions(precision, weights, sequences, file);
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
