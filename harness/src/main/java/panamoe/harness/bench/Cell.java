package panamoe.harness.bench;

import panamoe.tensor.DType;

/** One line of a table: what is measured, and how large. */
record Cell(Kind kind, LayerShape shape, int tokens, DType dtype, int threads) {
  String dtypeLabel() {
    return label(dtype);
  }

  static String label(DType dtype) {
    return dtype == DType.BFLOAT16 ? "bf16" : "f32";
  }
}
