package panamoe.harness.serve;

import java.nio.charset.StandardCharsets;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.harness.Activations;
import panamoe.harness.Quantization;
import panamoe.harness.serve.model.Numerics;
import panamoe.io.Sha256;
import panamoe.open.ModelFolder;
import panamoe.open.NamedAdapters;
import panamoe.parallel.Ranks;

/** The {@code system_fingerprint}: everything that results depend on besides requests. */
public final class SystemFingerprint {
  private static final int DIGITS = 16;

  private SystemFingerprint() {}

  public static String of(
      ModelFolder folder, Numerics numerics, Backend backend, Ranks ranks, String version) {
    String texts =
        String.join(
            " ",
            folder.weights().sha256(),
            folder.tokenizer().sha256(),
            numerics.dtype() + held(numerics.quantize()),
            "keys and values "
                + numerics.keyValues()
                + routed(numerics.expertsPerToken())
                + unrounded(numerics.activations())
                + adapted(folder, numerics),
            backend.name(),
            "slices " + ranks.topology().tensorDegree() + " " + ranks.topology().expertSlices(),
            version);
    return "fp_" + Sha256.hex(texts.getBytes(StandardCharsets.UTF_8)).substring(0, DIGITS);
  }

  /** Empty if matrices have the common dtype. */
  private static String held(Quantization quantize) {
    return quantize == Quantization.NONE ? "" : " weights " + quantize;
  }

  /** Empty if weights in blocks are multiplied by int8. */
  private static String unrounded(Activations activations) {
    return activations == Activations.INT8 ? "" : " activations " + activations;
  }

  /** Empty without adapters. */
  private static String adapted(ModelFolder folder, Numerics numerics) {
    return numerics.adapters().isEmpty()
        ? ""
        : " adapters " + NamedAdapters.read(folder, numerics.adapters()).sha256();
  }

  /** Empty for the trained number of experts per token. */
  private static String routed(List<Integer> expertsPerToken) {
    return expertsPerToken.isEmpty() ? "" : " experts per token " + expertsPerToken;
  }
}
