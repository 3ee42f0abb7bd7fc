package panamoe.harness.serve.model;

import java.util.List;
import panamoe.harness.Activations;
import panamoe.harness.ComputeType;
import panamoe.harness.KeyValueType;
import panamoe.harness.Quantization;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.open.NamedAdapters;
import panamoe.param.WeightTypes;

/**
 * The settings that a served model's results depend on, in addition to its files and the machine.
 *
 * @param dtype of activations, and of weights that are not held in blocks
 * @param quantize the form of matrices
 * @param activations multiplied by weights in blocks
 * @param expertsPerToken for each layer, or one number for all; empty for the trained number
 * @param adapters of which each sequence chooses one
 */
public record Numerics(
    ComputeType dtype,
    Quantization quantize,
    Activations activations,
    KeyValueType keyValues,
    List<Integer> expertsPerToken,
    List<NamedAdapters.Source> adapters) {

  public Numerics withDType(ComputeType other) {
    return new Numerics(other, quantize, activations, keyValues, expertsPerToken, adapters);
  }

  /** A model with these settings, all of it in memory. */
  public InferenceSettings settings(ModelFolder folder) {
    WeightTypes types = activations.of(quantize.types(dtype.dtype(), () -> folder));
    NamedAdapters read = NamedAdapters.read(folder, adapters);
    return new InferenceSettings(types, Long.MAX_VALUE, null, expertsPerToken, read);
  }
}
