package panamoe.runtimekernel;

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
 * Compiles kernels for a GPU and installs them in its backend, which then uses them for the calls
 * they fit. Each is compiled once and cached on disk. Only this package uses JCuda, and only after
 * NVRTC was found. Thread-safe, but no other thread may use a backend while kernels are installed
 * in it.
 */
public final class RuntimeKernels {
  private final KernelImages images;

  RuntimeKernels(Nvrtc nvrtc, KernelCache cache) {
    this(
        (kernel, target) -> {
          KernelSource source = kernel.source();
          String architecture = nvrtc.architecture(target);
          return cache.get(
              KernelCache.key(source, architecture, nvrtc.version()),
              () -> nvrtc.compile(source, architecture).image());
        });
  }

  private RuntimeKernels(KernelImages images) {
    this.images = images;
  }

  /**
   * Opens the folder of compiled kernels that PANAMOE_READY_KERNELS names, or else this machine's
   * NVRTC and the user's cache.
   *
   * @throws UnsatisfiedLinkError if NVRTC or JCuda is missing; the message is one sentence
   */
  public static RuntimeKernels open() {
    return ReadyKernels.named()
        .map(RuntimeKernels::new)
        .orElseGet(() -> new RuntimeKernels(Nvrtc.open(), KernelCache.ofUser()));
  }

  /**
   * Installs kernels in the backend, in list order: a custom activation must precede the experts
   * that use it.
   *
   * @throws IllegalArgumentException if it is not a CUDA device
   * @throws CompilationException if a kernel does not compile, usually because of a mistake in a
   *     user's expression
   */
  public void install(NativeBackend backend, List<RuntimeKernel> kernels) {
    String target = backend.deviceInfo().target();
    for (RuntimeKernel kernel : kernels) {
      backend.install(kernel.description(), image(kernel, target));
    }
  }

  /** The image for a device of this target ("sm_90"), from the cache if it is there. */
  byte[] image(RuntimeKernel kernel, String target) {
    return images.of(kernel, target);
  }

  /**
   * The kernels for a model's decode steps: its gates, without dropping, and both linear layers of
   * its experts.
   *
   * @param dtype of the activations and the weights
   * @param custom the expressions if the model's activation is {@link Activation#CUSTOM}, else null
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
      boolean chosen = gate.weighting().normalization() != Normalization.RAW;
      kernels.add(
          new RuntimeKernel.Gate(
              moe.experts(), gate.topK(), gate.score(), gate.queues().order(), chosen));
      addExpert(kernels, config.hidden(), moe.activation(), custom, dtype);
      addExpert(kernels, moe.inner(), Activation.IDENTITY, null, dtype);
    }
    return new ArrayList<>(kernels);
  }

  /**
   * Rows whose width is not a multiple of 8, and activations with parameters, use the ahead-of-time
   * kernels.
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
