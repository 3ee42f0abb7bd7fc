package panamoe.runtimekernel;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import jcuda.nvrtc.JNvrtc;
import jcuda.nvrtc.nvrtcProgram;
import jcuda.nvrtc.nvrtcResult;
import panamoe.bindings.NvrtcLibrary;
import panamoe.io.Require;

/**
 * NVIDIA's run-time compiler, called through JCuda. Needs neither a GPU nor a driver. Thread-safe.
 */
public final class Nvrtc {
  /** Machine code (a cubin) or PTX, and the compiler's output. */
  record Compiled(byte[] image, String log) {}

  private static Nvrtc opened;

  private final Path file;
  private final String version;
  private final List<Integer> architectures;

  private Nvrtc(Path file) {
    this.file = file;
    int[] major = new int[1];
    int[] minor = new int[1];
    check(JNvrtc.nvrtcVersion(major, minor), "nvrtcVersion");
    this.version = major[0] + "." + minor[0];
    int[] count = new int[1];
    check(JNvrtc.nvrtcGetNumSupportedArchs(count), "nvrtcGetNumSupportedArchs");
    int[] supported = new int[count[0]];
    check(JNvrtc.nvrtcGetSupportedArchs(supported), "nvrtcGetSupportedArchs");
    this.architectures = Arrays.stream(supported).sorted().boxed().toList();
  }

  /**
   * Loads NVRTC and JCuda if need be.
   *
   * @throws UnsatisfiedLinkError if one of them is missing; the message says what was searched, and
   *     where
   */
  public static synchronized Nvrtc open() {
    if (opened == null) {
      Path file = NvrtcLibrary.load();
      PrivateUnpacking.load("jcuda.nvrtc.JNvrtc");
      JNvrtc.setExceptionsEnabled(false);
      opened = new Nvrtc(file);
    }
    return opened;
  }

  /** Where the library was found. */
  public Path file() {
    return file;
  }

  /** The version, such as "12.4". */
  public String version() {
    return version;
  }

  /**
   * The architecture to compile for: machine code if NVRTC knows the device's architecture, else
   * PTX of the newest older architecture, which the driver translates.
   *
   * @param device its target, such as "sm_90"
   * @throws IllegalArgumentException if it is not a CUDA device, or is older than this NVRTC
   *     supports
   */
  public String architecture(String device) {
    if (!device.matches("sm_\\d+")) {
      throw new IllegalArgumentException(
          "a device of target " + device + " takes no kernels compiled at run time");
    }
    int wanted = Integer.parseInt(device.substring(3));
    int newest =
        architectures.stream()
            .filter(known -> known <= wanted)
            .reduce((_, last) -> last)
            .orElseThrow(
                () ->
                    Require.refusal(
                        "NVRTC %s compiles for sm_%s and newer, not for %s",
                        version, architectures.getFirst(), device));
    return newest == wanted ? device : "compute_" + newest;
  }

  /**
   * Compiles a kernel.
   *
   * @param architecture from {@link #architecture}
   * @throws CompilationException if NVRTC refuses it
   */
  Compiled compile(KernelSource source, String architecture) {
    String[] names = source.headers().keySet().toArray(String[]::new);
    String[] texts = source.headers().values().toArray(String[]::new);
    String[] options = options(source, architecture).toArray(String[]::new);
    nvrtcProgram program = new nvrtcProgram();
    check(
        JNvrtc.nvrtcCreateProgram(
            program, source.text(), source.file(), names.length, texts, names),
        "nvrtcCreateProgram");
    try {
      int result = JNvrtc.nvrtcCompileProgram(program, options.length, options);
      String[] log = new String[1];
      check(JNvrtc.nvrtcGetProgramLog(program, log), "nvrtcGetProgramLog");
      if (result == nvrtcResult.NVRTC_ERROR_COMPILATION) {
        throw new CompilationException(firstError(source, log[0]), log[0].strip());
      }
      check(result, "nvrtcCompileProgram");
      return new Compiled(architecture.startsWith("sm_") ? cubin(program) : ptx(program), log[0]);
    } finally {
      JNvrtc.nvrtcDestroyProgram(program);
    }
  }

  /** The compiler options. With the source and NVRTC's version they determine the result. */
  static List<String> options(KernelSource source, String architecture) {
    List<String> options =
        new ArrayList<>(
            List.of(
                "--gpu-architecture=" + architecture,
                "--std=c++17",
                // The flags of the ahead-of-time kernels, to give the same bits.
                "--fmad=false",
                // The C ABI's headers declare host functions with attributes that NVRTC does not
                // know.
                "-default-device",
                "--diag-suppress=1097",
                "--ptxas-options=--verbose"));
    source.definitions().forEach(definition -> options.add("--define-macro=" + definition));
    return options;
  }

  private static byte[] cubin(nvrtcProgram program) {
    long[] bytes = new long[1];
    check(JNvrtc.nvrtcGetCUBINSize(program, bytes), "nvrtcGetCUBINSize");
    byte[] image = new byte[Math.toIntExact(bytes[0])];
    check(JNvrtc.nvrtcGetCUBIN(program, image), "nvrtcGetCUBIN");
    return image;
  }

  private static byte[] ptx(nvrtcProgram program) {
    String[] text = new String[1];
    check(JNvrtc.nvrtcGetPTX(program, text), "nvrtcGetPTX");
    return text[0].getBytes(StandardCharsets.US_ASCII);
  }

  /** The first error with its source line. */
  private static String firstError(KernelSource source, String log) {
    List<String> lines = log.lines().toList();
    for (int i = 0; i < lines.size(); i++) {
      if (lines.get(i).contains("error")) {
        String line = i + 1 < lines.size() ? ": " + lines.get(i + 1).strip() : "";
        return source.file() + " does not compile: " + lines.get(i).strip() + line;
      }
    }
    return source.file() + " does not compile: " + log.strip();
  }

  private static void check(int result, String function) {
    if (result != nvrtcResult.NVRTC_SUCCESS) {
      throw new IllegalStateException(
          function + " of NVRTC failed: " + nvrtcResult.stringFor(result));
    }
  }
}
