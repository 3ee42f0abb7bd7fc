package panamoe.harness.quantize;

import java.util.Map;
import panamoe.harness.help.OptionGroup;
import panamoe.io.Count;
import panamoe.io.Require;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.open.ModelFolder;
import panamoe.quantize.Calibration;
import panamoe.quantize.FormatChoice;
import panamoe.quantize.QuantizationFormat;
import panamoe.quantize.Sensitivity;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** What a choice of formats is for: {@code @Mixin ChoiceOptions choice}. */
@OptionGroup("Choosing formats")
final class ChoiceOptions {
  /** Parses a part such as 0.5%. */
  static final class Percent implements ITypeConverter<Double> {
    @Override
    public Double convert(String text) {
      if (!text.matches("\\d{1,3}(\\.\\d{1,6})?%")) {
        throw new TypeConversionException("'" + text + "' is no percentage such as 0.5%");
      }
      return Double.parseDouble(text.substring(0, text.length() - 1)) / 100;
    }
  }

  @Option(
      names = "--size",
      paramLabel = "SIZE",
      converter = ModelSize.Parser.class,
      description =
          "Choose formats for the least loss in this size of all weights: bits per weight or bytes, such as 4.5bpw, 12GB or 800MiB. The choice is in the folder's plan.json, which --plan reads.")
  private ModelSize size;

  @Option(
      names = "--loss",
      paramLabel = "PERCENT",
      converter = Percent.class,
      description =
          "Choose formats for the least size with this rise of the bits per byte at most, such as 0.5%%.")
  private Double loss;

  boolean given() {
    return size != null || loss != null;
  }

  boolean both() {
    return size != null && loss != null;
  }

  /** The most loss that is allowed; null for every loss. */
  Double loss() {
    return loss;
  }

  /**
   * Refuses a size that no choice can have, before hours of work.
   *
   * @param rules the formats of matrices that are not open to choice
   * @param calibration null before it is made; experts that it did not reach take int8
   */
  void requirePossible(
      ModelFolder folder, Map<QuantizedMatrix, QuantizationFormat> rules, Calibration calibration) {
    if (size != null) {
      long asked = size.bytes(folder.config());
      long least = Sensitivity.leastBytes(folder, rules, calibration);
      Require.that(
          least <= asked,
          "--size asks for %s, but in the smallest formats the model has %s%s",
          Count.bytes(asked),
          Count.bytes(least),
          calibration == null ? "" : ", with int8 for experts that no token reached");
      boolean rounds = rules.values().stream().anyMatch(it -> it != QuantizationFormat.KEEP);
      long whole = Sensitivity.wholeBytes(folder);
      Require.that(
          rounds || asked < whole,
          "--size asks for %s, but without rounding the model has %s: nothing is to be rounded",
          Count.bytes(asked),
          Count.bytes(whole));
    }
  }

  /** The first choice. */
  FormatChoice first(ModelFolder folder, Sensitivity sensitivity) {
    return size == null
        ? FormatChoice.ofLoss(sensitivity, loss)
        : FormatChoice.ofSize(sensitivity, size.bytes(folder.config()));
  }
}
