package panamoe.harness.serve;

import java.util.List;
import panamoe.harness.Activations;
import panamoe.harness.ComputeType;
import panamoe.harness.KeyValueType;
import panamoe.harness.Quantization;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;

/**
 * What a served model's numbers depend on beside its files and the machine.
 *
 * @param dtype of activations, and of weights that are not held in blocks
 * @param quantize how experts' matrices are held
 * @param activations what weights in blocks are multiplied by
 * @param expertsPerToken by layer, or one number for all; empty: as trained
 */
record Numerics(
    ComputeType dtype,
    Quantization quantize,
    Activations activations,
    KeyValueType keyValues,
    List<Integer> expertsPerToken) {

  Numerics withDType(ComputeType other) {
    return new Numerics(other, quantize, activations, keyValues, expertsPerToken);
  }

  /** A model with these numbers, all of it in memory. */
  InferenceSettings settings(ModelFolder folder) {
    WeightTypes types = activations.of(quantize.types(dtype.dtype(), () -> folder));
    return new InferenceSettings(types, Long.MAX_VALUE, null, expertsPerToken);
  }
}
