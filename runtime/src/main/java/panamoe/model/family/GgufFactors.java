package panamoe.model.family;

import java.util.Optional;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.rows.FactorRows;
import panamoe.checkpoint.rows.ScaledRows;

/** Factors that GGUF files store beside matrices, such as those of NVFP4: one, or one an expert. */
final class GgufFactors implements QuantizedTensors {
  @Override
  public Optional<RowSource> matrix(Lookup files, String module) {
    return files.has(module + "scale")
        ? Optional.of(scaled(files, module, files.stored(module + WEIGHT)))
        : Optional.empty();
  }

  @Override
  public RowSource part(Lookup files, String name, RowSource rows) {
    String module = name.substring(0, name.length() - WEIGHT.length());
    return name.endsWith(WEIGHT) && files.has(module + "scale")
        ? scaled(files, module, rows)
        : rows;
  }

  private static RowSource scaled(Lookup files, String module, RowSource rows) {
    files.ignore(module + "input_scale"); // of activations
    String scale = module + "scale";
    return ScaledRows.whole(rows, new FactorRows(files.whole(scale), files.factor(scale), false));
  }
}
