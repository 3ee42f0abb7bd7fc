package panamoe.text;

import panamoe.api.Precision;
import panamoe.api.internal.Access;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/**
 * How a model is opened.
 *
 * @param precision of activations, and of weights that are not in blocks
 * @param experts how experts' matrices are held
 * @param texts that are written at the same time, 1 or more: each takes room for a context in the
 *     key/value cache. Others wait until one has ended
 */
public record ModelOptions(Precision precision, Experts experts, int texts) {
  /** How experts' matrices are held. */
  public enum Experts {
    /** In the blocks of the file, where it has blocks that kernels multiply by. */
    STORED,
    /** In 8.5 bits an element, rounded while they are loaded. */
    INT8,
    /** In 4.5 bits an element, rounded while they are loaded. */
    INT4,
    /** In the precision of everything else. */
    DECODED
  }

  /**
   * Checks the values.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if one is null, or there is no text
   */
  public ModelOptions {
    Failures.run(
        () -> {
          Argument.notNull("precision", precision);
          Argument.notNull("experts", experts);
          Argument.require(texts >= 1, "texts", texts, "1 or more");
        });
  }

  /** FLOAT32, experts as they are stored, one text at a time. */
  public static final ModelOptions USUAL = new ModelOptions(Precision.FLOAT32, Experts.STORED, 1);

  /** These options with another precision. */
  public ModelOptions withPrecision(Precision value) {
    return new ModelOptions(value, experts, texts);
  }

  /** These options with experts held in another way. */
  public ModelOptions withExperts(Experts value) {
    return new ModelOptions(precision, value, texts);
  }

  /** These options for {@code value} texts at the same time. */
  public ModelOptions withTexts(int value) {
    return new ModelOptions(precision, experts, value);
  }

  WeightTypes types(ModelFolder folder) {
    DType compute = Access.dtypeOf(precision);
    return switch (experts) {
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
