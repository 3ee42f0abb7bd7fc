package panamoe.harness.doctor;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import panamoe.bindings.NvrtcLibrary;
import panamoe.io.Count;
import panamoe.io.Words;

/** Checks the processor, the memory, the JDK, and the programs that Panamoe needs or can use. */
final class MachineCheck {
  private static final List<String> FEATURES =
      List.of("sse2", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16");
  private static final Pattern VERSION = Pattern.compile("(\\d+(?:\\.\\d+)+[\\w.+~-]*)");

  private MachineCheck() {}

  static List<Finding> findings() {
    return Stream.of(hardware(), buildTools(), optionalTools()).flatMap(List::stream).toList();
  }

  private static List<Finding> hardware() {
    String model = SystemFile.processor();
    List<Finding> findings = new ArrayList<>();
    findings.add(Finding.fact("processor", model + features()));
    int processors = Runtime.getRuntime().availableProcessors();
    findings.add(Finding.fact("threads", Count.of(processors, "processor") + " to use"));
    findings.add(memory());
    findings.add(hugePages());
    String jdk = System.getProperty("java.vm.version") + " in " + System.getProperty("java.home");
    findings.add(Finding.needed("JDK", Optional.of(jdk), null));
    return findings;
  }

  private static String features() {
    String known = FEATURES.stream().filter(flags()::contains).collect(Collectors.joining(" "));
    return known.isEmpty() ? "" : " (" + known + ")";
  }

  /** The processor's flags by the kernel's names. */
  static List<String> flags() {
    String flags = SystemFile.find("/proc/cpuinfo", Pattern.compile("flags\\s*: (.*)")).orElse("");
    return List.of(flags.split(" "));
  }

  private static Finding memory() {
    Optional<String> total =
        SystemFile.find("/proc/meminfo", Pattern.compile("MemTotal:\\s+(\\d+) kB"));
    Optional<String> available =
        SystemFile.find("/proc/meminfo", Pattern.compile("MemAvailable:\\s+(\\d+) kB"));
    if (total.isEmpty() || available.isEmpty()) {
      return Finding.optional("memory", Optional.empty(), "/proc/meminfo does not list it");
    }
    return Finding.fact(
        "memory", Words.of("%.1f GiB, %.1f GiB available", gibibytes(total), gibibytes(available)));
  }

  private static double gibibytes(Optional<String> kibibytes) {
    return Long.parseLong(kibibytes.orElseThrow()) / (1024.0 * 1024.0);
  }

  private static Finding hugePages() {
    Optional<String> setting =
        SystemFile.find(
            "/sys/kernel/mm/transparent_hugepage/enabled", Pattern.compile("\\[(\\w+)]"));
    String advice =
        "weights stream faster from huge pages; as root: "
            + "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
    if (setting.isEmpty()) {
      return Finding.optional("huge pages", setting, "this kernel has none; weights stream slower");
    }
    return setting.get().equals("never")
        ? Finding.improvable("huge pages", "never", advice)
        : Finding.fact("huge pages", setting.get());
  }

  private static List<Finding> buildTools() {
    return List.of(
        Finding.needed("C++ compiler", version("g++", "-dumpfullversion"), install("g++")),
        Finding.needed("CMake", version("cmake", "--version"), install("cmake")),
        Finding.needed("ninja", version("ninja", "--version"), install("ninja-build")),
        Finding.needed("Highway", library("libhwy-dev", "hwy/highway.h"), install("libhwy-dev")),
        Finding.needed(
            "GoogleTest", library("libgtest-dev", "gtest/gtest.h"), install("libgtest-dev")),
        Finding.optional(
            "oneDNN",
            library("libdnnl-dev", "dnnl.hpp"),
            "for benchmarks against it: apt-get install libdnnl-dev"));
  }

  private static String install(String debianPackage) {
    return "the build needs it: ./ci/setup, or apt-get install " + debianPackage;
  }

  private static List<Finding> optionalTools() {
    return List.of(
        Finding.optional(
            "MPI",
            version("mpirun", "--version"),
            "for several processes: apt-get install openmpi-bin libopenmpi-dev"),
        Finding.optional(
            "CUDA compiler",
            version("nvcc", "--version"),
            "for an NVIDIA GPU: install the CUDA toolkit"),
        nvrtc(),
        Finding.optional("GPU", gpu(), "not needed: Panamoe runs on the CPU"));
  }

  private static Finding nvrtc() {
    try {
      return Finding.optional(
          "NVRTC",
          NvrtcLibrary.find().map(Path::toString),
          "for runtime kernels on a GPU: CUDA 12, or ci/fetch/nvrtc");
    } catch (UnsatisfiedLinkError e) {
      return Finding.optional("NVRTC", Optional.empty(), e.getMessage());
    }
  }

  /** The first NVIDIA GPU that the driver lists. */
  static Optional<String> gpu() {
    return Tool.ask(
        Pattern.compile("(\\S.*)"),
        "nvidia-smi",
        "--query-gpu=name,driver_version,memory.total",
        "--format=csv,noheader");
  }

  private static Optional<String> version(String... command) {
    return Tool.ask(VERSION, command).map(version -> command[0] + " " + version);
  }

  /**
   * A Debian package and its version; on other systems, the path of the header that the compiler
   * finds.
   */
  private static Optional<String> library(String debianPackage, String header) {
    return Tool.ask(VERSION, "dpkg-query", "--show", "--showformat=${Version}", debianPackage)
        .map(version -> debianPackage + " " + version)
        .or(
            () ->
                Tool.ask(
                    Pattern.compile("(\\S*/" + Pattern.quote(header) + ")"),
                    "g++",
                    "-M",
                    "-x",
                    "c++",
                    "-include",
                    header,
                    "/dev/null"));
  }
}
