package panamoe.harness;

import panamoe.backend.Backend;
import panamoe.backend.abi.NativeBackend;
import panamoe.config.ModelConfig;
import panamoe.harness.help.OptionGroup;
import panamoe.runtimekernel.RuntimeKernels;
import panamoe.tensor.DType;
import picocli.CommandLine.Option;

/** Whether kernels are compiled for the model: {@code @Mixin RuntimeKernelsOption}. */
@OptionGroup("Device")
public final class RuntimeKernelsOption {
  @Option(
      names = "--runtime-kernels",
      description =
          "Compile the experts for this model and GPU first (--device cuda; docs/runtime-kernels.md).")
  private boolean wanted;

  public boolean wanted() {
    return wanted;
  }

  /** Installs the model's kernels, if the option is given. */
  public void install(SharedOptions shared, Backend backend, ModelConfig config, DType dtype) {
    if (!wanted) {
      return;
    }
    if (!(backend instanceof NativeBackend gpu) || !gpu.name().equals("cuda")) {
      throw shared.usage(
          "--runtime-kernels is for --device cuda, this run computes on %s", backend.name());
    }
    RuntimeKernels.open().install(gpu, RuntimeKernels.of(config, dtype, null));
  }
}
