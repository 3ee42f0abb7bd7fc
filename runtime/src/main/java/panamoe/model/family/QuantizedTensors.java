package panamoe.model.family;

import java.util.Optional;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;

/**
 * How a folder stores quantized matrices: {@code quantization_config} of its {@code config.json}.
 * The tensors of a module decide whether its matrix is one of them, so lists of exceptions need not
 * be read. Immutable.
 */
interface QuantizedTensors {
  /** The end of names of matrices. */
  String WEIGHT = "weight";

  /** No matrix is quantized, or its tensors are a family's own. */
  QuantizedTensors NONE = (_, _) -> Optional.empty();

  /**
   * A matrix; empty if it is not quantized.
   *
   * @param module the name of the matrix without {@link #WEIGHT}
   */
  Optional<RowSource> matrix(Lookup files, String module);

  /**
   * The expert's part of a stack.
   *
   * @param rows as stored
   * @throws CheckpointException if they have no meaning without a scale
   */
  default RowSource part(Lookup files, String name, RowSource rows) {
    files.refuseEightBits(name);
    return rows;
  }

  /**
   * Reads the configuration.
   *
   * @param keys of {@code quantization_config}; null without one
   * @throws CheckpointException if it is not supported
   */
  static QuantizedTensors of(Keys keys) {
    if (keys == null) {
      return NONE;
    }
    // How the codes were found, how activations are quantized, and which modules are exceptions.
    keys.ignore("modules_to_not_convert", "activation_scheme", "scale_fmt", "ignore", "meta");
    String method = keys.text("quant_method", "none");
    return switch (method) {
      case "mxfp4" -> NONE; // GPT-OSS's recipes name the tensors
      case "fp8" -> ScaledTensors.fp8(keys);
      case "modelopt" -> ScaledTensors.modelopt(keys);
      case "compressed-tensors" -> CompressedTensors.of(keys);
      case "awq" -> PackedTensors.awq(keys);
      case "gptq" -> PackedTensors.gptq(keys);
      default ->
          throw keys.bad(
              "quant_method", method, "one of fp8, mxfp4, compressed-tensors, awq, gptq, modelopt");
    };
  }
}
