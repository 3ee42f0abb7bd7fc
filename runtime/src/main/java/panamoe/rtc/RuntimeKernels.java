package panamoe.rtc;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.abi.NativeBackend;
import panamoe.config.BlockConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.tensor.DType;

/**
 * Compiles kernels for the card at hand and gives them to its backend, which from then on runs them
 * where they fit. Each is compiled once and kept on disk. JCuda is touched in this package alone,
 * once NVRTC was found. Thread-safe; a backend must not be used by others while it is given
 * kernels.
 */
public final class RuntimeKernels {
  private final Nvrtc nvrtc;
  private final KernelCache cache;

  RuntimeKernels(Nvrtc nvrtc, KernelCache cache) {
    this.nvrtc = nvrtc;
    this.cache = cache;
  }

  /**
   * With the NVRTC of this machine and the user's cache.
   *
   * @throws UnsatisfiedLinkError if NVRTC or JCuda is not there; one sentence
   */
  public static RuntimeKernels open() {
    return new RuntimeKernels(Nvrtc.open(), KernelCache.ofUser());
  }

  /**
   * Gives the backend kernels, in this order: a custom activation comes before the experts that use
   * it.
   *
   * @throws IllegalArgumentException if it is no CUDA device
   * @throws CompilationException if one does not compile, above all for a mistake in a user's
   *     expression
   */
  public void install(NativeBackend backend, List<RuntimeKernel> kernels) {
    String target = backend.deviceInfo().target();
    for (RuntimeKernel kernel : kernels) {
      backend.install(kernel.description(), image(kernel, target));
    }
  }

  /** The image for a device of this target ("sm_90"), out of the cache where it is there. */
  byte[] image(RuntimeKernel kernel, String target) {
    KernelSource source = kernel.source();
    String architecture = nvrtc.architecture(target);
    return cache.get(
        KernelCache.key(source, architecture, nvrtc.version()),
        () -> nvrtc.compile(source, architecture).image());
  }

  /**
   * What serves a model's decode steps: its gates, without dropping, and its experts' two layers.
   *
   * @param dtype of the activations and the weights
   * @param custom what the model's activation stands for where that is {@link Activation#CUSTOM},
   *     else null
   */
  public static List<RuntimeKernel> of(
      ModelConfig config, DType dtype, ActivationExpression custom) {
    Set<RuntimeKernel> kernels = new LinkedHashSet<>();
    if (custom != null) {
      kernels.add(new RuntimeKernel.CustomActivation(custom));
    }
    for (BlockConfig block : config.blocks()) {
      if (!(block.feedForward() instanceof MoeConfig moe)) {
        continue;
      }
      GateSettings gate = moe.gate().withoutDropping().settings(1, moe.experts(), false);
      boolean chosen = gate.normalization() != Normalization.RAW;
      kernels.add(
          new RuntimeKernel.Gate(
              moe.experts(), gate.topK(), gate.score(), gate.queueOrder(), chosen));
      addExpert(kernels, config.hidden(), moe.activation(), custom, dtype);
      addExpert(kernels, moe.inner(), Activation.IDENTITY, null, dtype);
    }
    return new ArrayList<>(kernels);
  }

  /**
   * Rows that are not whole packs of 8, and activations with parameters, are left to the
   * ahead-of-time kernels.
   */
  private static void addExpert(
      Set<RuntimeKernel> kernels,
      int inner,
      Activation activation,
      ActivationExpression custom,
      DType dtype) {
    if (inner % 8 == 0 && activation.isPlain()) {
      kernels.add(new RuntimeKernel.Expert(inner, activation, custom, dtype, dtype, dtype));
    }
  }
}
