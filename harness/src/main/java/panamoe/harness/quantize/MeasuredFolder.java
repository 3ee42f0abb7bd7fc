package panamoe.harness.quantize;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import panamoe.backend.Backend;
import panamoe.checkpoint.CheckpointException;
import panamoe.data.TokenWindows;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.open.InferenceMemory;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;
import panamoe.quantize.Divergence;
import panamoe.quantize.QuantizedModel;
import panamoe.tensor.DType;

/**
 * A folder for a quantized model that is measured before it appears.
 *
 * @param source the model before, in memory; null if nothing is measured
 * @param held windows to measure on; null to measure nothing
 * @param tokens of them
 * @param mostLoss null if every loss is allowed
 */
record MeasuredFolder(
    Path out,
    Backend backend,
    LanguageModel source,
    TokenWindows held,
    long tokens,
    Double mostLoss) {
  /** The model lost more than it may. */
  @SuppressWarnings("serial") // never serialized
  static final class TooLossy extends RuntimeException {
    private final double loss;

    private TooLossy(double loss) {
      this.loss = loss;
    }

    double loss() {
      return loss;
    }
  }

  /**
   * Writes and measures the folder.
   *
   * @param others contents of further files by name
   * @return null if nothing is measured
   * @throws TooLossy leaving no folder
   */
  Divergence written(QuantizedModel quantized, int threads, Map<String, byte[]> others) {
    if (held != null) {
      requireRoom(quantized);
    }
    Divergence[] measured = new Divergence[1];
    QuantizeCommand.shown(
        "rounding",
        at -> {
          quantized.write(
              out,
              others,
              threads,
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

  /** Checked before hours of work. */
  private void requireRoom(QuantizedModel quantized) {
    Map<String, DType> blocks = new HashMap<>();
    quantized.blocks().forEach((matrix, type) -> blocks.put(matrix.name(), type));
    DType compute = source.activationDType();
    WeightTypes types = ModelTensors.asStored(source.config(), compute, blocks);
    try {
      InferenceMemory.of(source.config(), types, compute, 0, true)
          .requireFits(out, backend.memoryAvailable());
    } catch (CheckpointException e) {
      throw new IllegalArgumentException(
          "the quantized model does not fit into memory with its source; --measure 0 writes it without measuring it",
          e);
    }
  }
}
