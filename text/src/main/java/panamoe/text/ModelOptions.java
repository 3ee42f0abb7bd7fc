package panamoe.text;

import java.nio.file.Path;
import panamoe.api.Precision;
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
 * @param chatTemplate a file with the template of conversations, in Jinja; null: the model's own,
 *     else that of its family (docs/chat-templates.md)
 */
public record ModelOptions(Precision precision, Experts experts, int texts, Path chatTemplate) {
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
   * @throws panamoe.api.PanamoeException.BadArgument if the precision or the experts are null, or
   *     there is no text
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
  public static final ModelOptions USUAL =
      new ModelOptions(Precision.FLOAT32, Experts.STORED, 1, null);

  /** These options with another precision. */
  public ModelOptions withPrecision(Precision value) {
    return new ModelOptions(value, experts, texts, chatTemplate);
  }

  /** These options with experts held in another way. */
  public ModelOptions withExperts(Experts value) {
    return new ModelOptions(precision, value, texts, chatTemplate);
  }

  /** These options for {@code value} texts at the same time. */
  public ModelOptions withTexts(int value) {
    return new ModelOptions(precision, experts, value, chatTemplate);
  }

  /** These options with another template of conversations. */
  public ModelOptions withChatTemplate(Path file) {
    return new ModelOptions(precision, experts, texts, file);
  }

  WeightTypes types(ModelFolder folder) {
    DType compute = DType.valueOf(precision.name()); // the facade takes some of its types
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
