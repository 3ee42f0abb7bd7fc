package panamoe.backend;

import java.util.List;

/** Activations of the C ABI ({@code moe_activation}). */
public enum Activation {
  IDENTITY(0),
  RELU(1),
  /** {@code x * (1 + erf(x / sqrt 2)) / 2}. */
  GELU(2),
  /** The tanh approximation of GELU (GPT-2, BERT). */
  GELU_TANH(3),
  /** {@code x * sigmoid(x)}. */
  SILU(4),
  /** {@code silu(g) * u}: g the first, u the second half of the last dimension, which it halves. */
  SWIGLU(5),
  /** A user's own, on a device that was given it ({@code panamoe.rtc}); refused everywhere else. */
  CUSTOM(6);

  /** Those that every backend has. */
  public static final List<Activation> BUILT_IN =
      List.of(IDENTITY, RELU, GELU, GELU_TANH, SILU, SWIGLU);

  private final int code;

  Activation(int code) {
    this.code = code;
  }

  public int code() {
    return code;
  }

  /** Columns of pre-activation for each column of output: 2 for gated activations, else 1. */
  public int inputsPerOutput() {
    return this == SWIGLU ? 2 : 1;
  }
}
