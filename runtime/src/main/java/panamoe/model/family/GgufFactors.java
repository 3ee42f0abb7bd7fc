package panamoe.model.family;

import java.util.Optional;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.rows.FactorRows;
import panamoe.checkpoint.rows.ScaledRows;

/**
 * Factors of NVFP4 matrices in GGUF files: one, or one an expert. Beside other matrices, a tensor
 * of that name is a family's own.
 */
final class GgufFactors implements QuantizedTensors {
  @Override
  public Optional<RowSource> matrix(Lookup files, String module) {
    return has(files, module)
        ? Optional.of(scaled(files, module, files.stored(module + WEIGHT)))
        : Optional.empty();
  }

  @Override
  public RowSource part(Lookup files, String name, RowSource rows) {
    String module = name.substring(0, name.length() - WEIGHT.length());
    return name.endsWith(WEIGHT) && has(files, module) ? scaled(files, module, rows) : rows;
  }

  private static boolean has(Lookup files, String module) {
    StoredType type = files.type(module + WEIGHT);
    return type != null && type.hasFactors() && files.has(module + "scale");
  }

  private static RowSource scaled(Lookup files, String module, RowSource rows) {
    files.ignore(module + "input_scale"); // of activations
    String scale = module + "scale";
    return ScaledRows.whole(rows, new FactorRows(files.whole(scale), files.factor(scale), false));
  }
}
