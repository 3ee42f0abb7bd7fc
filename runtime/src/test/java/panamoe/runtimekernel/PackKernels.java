package panamoe.runtimekernel;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;

/**
 * Compiles the presets' kernels into a folder for PANAMOE_READY_KERNELS: {@code PackKernels FOLDER
 * TARGET...}, for example {@code PackKernels kernels sm_80 sm_90}. Needs NVRTC, but no GPU.
 */
public final class PackKernels {
  private PackKernels() {}

  public static void main(String[] arguments) {
    ReadyKernels ready = new ReadyKernels(Path.of(arguments[0]));
    List<String> targets = Arrays.asList(arguments).subList(1, arguments.length);
    Nvrtc nvrtc = Nvrtc.open();
    Collection<RuntimeKernel> kernels = PresetKernels.all();
    kernels.parallelStream()
        .forEach(kernel -> targets.forEach(target -> keep(ready, nvrtc, kernel, target)));
    System.out.println(kernels.size() + " kernels for " + String.join(", ", targets));
  }

  private static void keep(ReadyKernels ready, Nvrtc nvrtc, RuntimeKernel kernel, String target) {
    byte[] image = nvrtc.compile(kernel.source(), nvrtc.architecture(target)).image();
    try {
      ready.keep(kernel, target, image);
    } catch (IOException e) {
      throw new UncheckedIOException("a kernel cannot be written", e);
    }
  }
}
