package panamoe.lab.bench;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import panamoe.harness.Quantization;
import panamoe.tensor.DType;

/**
 * The format in memory of the weights of a model's file, as named on the command line and in JSON.
 */
enum WeightFormat {
  BF16(Quantization.NONE, DType.BFLOAT16),
  INT8(Quantization.INT8, DType.INT8_BLOCKS),
  INT4(Quantization.INT4, DType.INT4_BLOCKS),
  STORED(Quantization.STORED, DType.Q4_K);

  private final Quantization quantization;
  private final DType synthetic;

  WeightFormat(Quantization quantization, DType synthetic) {
    this.quantization = quantization;
    this.synthetic = synthetic;
  }

  /** The quantization when loading a user's file. */
  Quantization quantization() {
    return quantization;
  }

  /** The stored dtype of the synthetic model's matrices. */
  DType synthetic() {
    return synthetic;
  }

  @JsonValue
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
