package panamoe.harness.bench;

import java.util.Locale;
import panamoe.tensor.DType;

/** One line of a table: what is measured, and how large. */
record Cell(Kind kind, LayerShape shape, int tokens, DType dtype, int threads) {
  String dtypeLabel() {
    return dtype == DType.BFLOAT16 ? "bf16" : "f32";
  }

  /**
   * The dtype that {@code label} names.
   *
   * @throws IllegalArgumentException in one sentence if it names none
   */
  static DType dtype(String label) {
    return switch (label.toLowerCase(Locale.ROOT)) {
      case "f32", "float32", "fp32" -> DType.FLOAT32;
      case "bf16", "bfloat16" -> DType.BFLOAT16;
      default -> throw new IllegalArgumentException("--dtype is '" + label + "', expected f32 or bf16");
    };
  }
}
