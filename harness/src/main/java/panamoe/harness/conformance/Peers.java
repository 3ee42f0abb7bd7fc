package panamoe.harness.conformance;

import panamoe.backend.Activation;

/** Names that several peers share. */
final class Peers {
  private Peers() {}

  static Activation activation(String name) {
    return switch (name) {
      case "relu" -> Activation.RELU;
      case "gelu", "gelu_erf" -> Activation.GELU;
      case "gelu_tanh" -> Activation.GELU_TANH;
      case "silu" -> Activation.SILU;
      default -> throw new IllegalArgumentException("unknown activation '" + name + "'");
    };
  }
}
