package panamoe.harness;

import panamoe.tensor.DType;

/** What weights and activations are computed in, as the command line says it. */
public enum ComputeType {
  F32(DType.FLOAT32),
  BF16(DType.BFLOAT16);

  private final DType dtype;

  ComputeType(DType dtype) {
    this.dtype = dtype;
  }

  public DType dtype() {
    return dtype;
  }
}
