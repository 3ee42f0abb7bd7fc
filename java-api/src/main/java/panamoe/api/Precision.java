package panamoe.api;

import panamoe.tensor.DType;

/** The type of the numbers that a layer or model computes with; sums are FLOAT32 in any case. */
public enum Precision {
  /** 4 bytes an element. */
  FLOAT32(DType.FLOAT32),
  /**
   * 2 bytes an element, the upper half of a FLOAT32: half the memory to read. Biases, norms and
   * routers stay FLOAT32.
   */
  BFLOAT16(DType.BFLOAT16);

  private final DType dtype;

  Precision(DType dtype) {
    this.dtype = dtype;
  }

  DType dtype() {
    return dtype;
  }
}
