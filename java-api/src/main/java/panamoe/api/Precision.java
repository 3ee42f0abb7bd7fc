package panamoe.api;

import panamoe.tensor.DType;

/** The precision of a layer's or model's computation; sums are always FLOAT32. */
public enum Precision {
  /** 4 bytes per element. */
  FLOAT32(DType.FLOAT32),
  /** 2 bytes per element, the upper half of a FLOAT32. Biases, norms and routers stay FLOAT32. */
  BFLOAT16(DType.BFLOAT16);

  private final DType dtype;

  Precision(DType dtype) {
    this.dtype = dtype;
  }

  DType dtype() {
    return dtype;
  }
}
