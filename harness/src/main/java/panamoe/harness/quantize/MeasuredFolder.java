package panamoe.harness.quantize;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import panamoe.backend.Backend;
import panamoe.checkpoint.CheckpointException;
import panamoe.data.TokenWindows;
import panamoe.harness.SharedOptions;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.open.InferenceMemory;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;
import panamoe.quantize.Calibration;
import panamoe.quantize.Divergence;
import panamoe.quantize.FormatChoice;
import panamoe.quantize.QuantizationFormat;
import panamoe.quantize.QuantizationPlan;
import panamoe.quantize.QuantizedModel;
import panamoe.tensor.DType;

/**
 * A folder for a quantized model that is measured before it appears.
 *
 * @param source the model before, in memory; null if it is not needed
 * @param text that is measured on; null to measure nothing
 * @param held windows of it
 * @param tokens of them
 * @param mostLoss null if every loss is allowed
 */
record MeasuredFolder(
    Path out,
    SharedOptions shared,
    Backend backend,
    LanguageModel source,
    String text,
    TokenWindows held,
    long tokens,
    Double mostLoss) {
  /** The chosen formats, in the folder. */
  private static final String PLAN = "plan.json";

  /** Choices that may be measured as too lossy. */
  private static final int MOST_CHOICES = 8;

  /** After such a choice, the most of its expected loss that the next may have. */
  private static final double STEP_BACK = 0.8;

  /** The model lost more than it may: the folder does not appear. */
  @SuppressWarnings("serial") // never serialized
  private static final class TooLossy extends RuntimeException {
    private final double loss;

    private TooLossy(double loss) {
      this.loss = loss;
    }
  }

  /**
   * Refuses, before hours of work, what does not fit into memory beside the source: the quantized
   * model, or, for a choice of formats, a copy of which one class of matrices is rounded.
   *
   * @param wanted formats of matrices
   */
  void requireRoom(
      ModelFolder folder, Map<QuantizedMatrix, QuantizationFormat> wanted, boolean choosing) {
    if (!choosing && held == null) {
      return;
    }
    DType compute = source.activationDType();
    Map<String, DType> blocks = new HashMap<>();
    QuantizedModel.of(folder, wanted, null)
        .blocks()
        .forEach((matrix, type) -> blocks.put(matrix.name(), type));
    WeightTypes types =
        choosing
            ? WeightTypes.of(compute)
            : ModelTensors.asStored(source.config(), compute, blocks);
    try {
      InferenceMemory.of(source.config(), types, compute, 0, true)
          .requireFits(out, backend.memoryAvailable());
    } catch (CheckpointException e) {
      throw new IllegalArgumentException(
          choosing
              ? "to choose formats, the model must fit into memory twice; name them with --to or --plan"
              : "the quantized model does not fit into memory with its source; --measure 0 writes it without measuring it",
          e);
    }
  }

  /**
   * Writes a choice, or the first that does not lose too much after it.
   *
   * @param rules the formats of matrices that are not open to choice
   * @param calibrated what the calibration is of
   * @param others contents of further files by name
   */
  QuantizationReport chosen(
      FormatChoice first,
      Map<QuantizedMatrix, QuantizationFormat> rules,
      ModelFolder folder,
      Calibration calibration,
      String calibrated,
      Map<String, byte[]> others) {
    List<Double> missed = new ArrayList<>();
    FormatChoice now = first;
    while (true) {
      Map<QuantizedMatrix, QuantizationFormat> formats = now.formats(rules);
      QuantizedModel quantized = QuantizedModel.of(folder, formats, calibration);
      Require.that(
          !quantized.blocks().isEmpty(),
          "nothing is to be rounded for this %s",
          mostLoss == null ? "size" : "loss");
      Map<String, byte[]> files = new HashMap<>(others);
      files.put(PLAN, QuantizeCommand.json(QuantizationPlan.of(formats)));
      try {
        Divergence divergence = written(quantized, files);
        return new QuantizationReport(quantized, calibrated, text, divergence, now, missed, out);
      } catch (TooLossy e) {
        missed.add(e.loss);
        double part = Math.min(STEP_BACK, mostLoss / e.loss);
        FormatChoice next = FormatChoice.ofLoss(now.sensitivity(), part * now.loss());
        if (missed.size() == MOST_CHOICES || next.options().equals(now.options())) {
          throw Require.refusal(
              "no choice of formats was found with a loss of at most %.3g %%; the last had %.3f %%",
              100 * mostLoss, 100 * e.loss);
        }
        now = next;
        shared.note(
            "a loss of %.3f %% was measured, more than %.3g %%: choosing again",
            100 * e.loss, 100 * mostLoss);
      }
    }
  }

  /**
   * Writes and measures the folder.
   *
   * @param others contents of further files by name
   * @return null if nothing is measured
   */
  Divergence written(QuantizedModel quantized, Map<String, byte[]> others) {
    Divergence[] measured = new Divergence[1];
    QuantizeCommand.shown(
        "rounding",
        at -> {
          quantized.write(
              out,
              others,
              shared.threadCount(),
              at,
              folder -> measured[0] = held == null ? null : measured(ModelFolder.open(folder)));
          return null;
        });
    return measured[0];
  }

  private Divergence measured(ModelFolder written) {
    InferenceSettings types = InferenceSettings.of(written.typesAsStored(source.activationDType()));
    try (LanguageModel rounded = written.load(backend, types, null)) {
      Divergence divergence =
          QuantizeCommand.shown(
              "measuring", at -> Divergence.of(backend, source, rounded, held, tokens, at));
      if (mostLoss != null && divergence.loss() > mostLoss) {
        throw new TooLossy(divergence.loss());
      }
      return divergence;
    }
  }
}
