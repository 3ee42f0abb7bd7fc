package panamoe.lab.conformance.replay;

import panamoe.backend.Activation;

/** Names that several peers share. */
public final class Peers {
  private Peers() {}

  public static Activation activation(String name) {
    return switch (name) {
      case "relu" -> Activation.RELU;
      case "gelu", "gelu_erf" -> Activation.GELU;
      case "gelu_tanh" -> Activation.GELU_TANH;
      case "silu" -> Activation.SILU;
      default -> throw new IllegalArgumentException("unknown activation '" + name + "'");
    };
  }
}
