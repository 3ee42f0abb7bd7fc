package panamoe.harness.doctor;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import panamoe.bindings.NvrtcLibrary;
import panamoe.io.Count;

/** Looks at the processor, the memory, the JDK and the programs that Panamoe builds with or can use. */
final class MachineCheck {
  private static final List<String> FEATURES =
      List.of("sse2", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16");
  private static final Pattern VERSION = Pattern.compile("(\\d+(?:\\.\\d+)+[\\w.+~-]*)");

  private MachineCheck() {}

  static List<Finding> findings() {
    return Stream.of(hardware(), buildTools(), optionalTools()).flatMap(List::stream).toList();
  }

  private static List<Finding> hardware() {
    String model = SystemFile.find("/proc/cpuinfo", Pattern.compile("model name\\s*: (.*)"))
        .orElse(System.getProperty("os.arch"));
    List<Finding> findings = new ArrayList<>();
    findings.add(Finding.present("processor", model + features()));
    int processors = Runtime.getRuntime().availableProcessors();
    findings.add(Finding.present("threads", Count.of(processors, "processor") + " to use"));
    findings.add(memory());
    findings.add(hugePages());
    findings.add(Finding.present(
        "JDK", System.getProperty("java.vm.version") + " in " + System.getProperty("java.home")));
    return findings;
  }

  private static String features() {
    String flags = SystemFile.find("/proc/cpuinfo", Pattern.compile("flags\\s*: (.*)")).orElse("");
    List<String> words = List.of(flags.split(" "));
    String known = FEATURES.stream().filter(words::contains).collect(Collectors.joining(" "));
    return known.isEmpty() ? "" : " (" + known + ")";
  }

  private static Finding memory() {
    Optional<String> total = SystemFile.find("/proc/meminfo", Pattern.compile("MemTotal:\\s+(\\d+) kB"));
    Optional<String> available = SystemFile.find("/proc/meminfo", Pattern.compile("MemAvailable:\\s+(\\d+) kB"));
    if (total.isEmpty() || available.isEmpty()) {
      return Finding.missing("memory", false, "the kernel does not say in /proc/meminfo");
    }
    return Finding.present(
        "memory",
        String.format(Locale.ROOT, "%.1f GiB, %.1f GiB available", gibibytes(total), gibibytes(available)));
  }

  private static double gibibytes(Optional<String> kibibytes) {
    return Long.parseLong(kibibytes.orElseThrow()) / (1024.0 * 1024.0);
  }

  private static Finding hugePages() {
    Optional<String> setting =
        SystemFile.find("/sys/kernel/mm/transparent_hugepage/enabled", Pattern.compile("\\[(\\w+)]"));
    String advice = "weights stream faster from huge pages; as root: "
        + "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
    if (setting.isEmpty()) {
      return Finding.missing("huge pages", false, "this kernel has none; weights stream slower");
    }
    return setting.get().equals("never")
        ? Finding.improvable("huge pages", "never", advice)
        : Finding.present("huge pages", setting.get());
  }

  private static List<Finding> buildTools() {
    return List.of(
        tool("C++ compiler", "apt-get install g++", "g++", "-dumpfullversion"),
        tool("CMake", "apt-get install cmake", "cmake", "--version"),
        tool("ninja", "apt-get install ninja-build", "ninja", "--version"),
        debianPackage("Highway", "libhwy-dev"),
        debianPackage("oneDNN", "libdnnl-dev"),
        debianPackage("GoogleTest", "libgtest-dev"));
  }

  private static List<Finding> optionalTools() {
    return List.of(
        tool("MPI", "for several processes: apt-get install openmpi-bin libopenmpi-dev", "mpirun", "--version"),
        tool("CUDA compiler", "for an NVIDIA GPU: install the CUDA toolkit", "nvcc", "--version"),
        NvrtcLibrary.find()
            .map(file -> Finding.present("NVRTC", file.toString()))
            .orElseGet(() -> Finding.missing("NVRTC", false, "for run-time kernels on a GPU: CUDA 12, or ci/nvrtc")),
        gpu()
            .map(gpu -> Finding.present("GPU", gpu))
            .orElseGet(() -> Finding.missing("GPU", false, "none needed: the CPU computes")));
  }

  /** The first NVIDIA card that its driver knows. */
  static Optional<String> gpu() {
    return Tool.ask(
        Pattern.compile("(\\S.*)"),
        "nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader");
  }

  private static Finding tool(String topic, String advice, String... command) {
    return Tool.ask(VERSION, command)
        .map(version -> Finding.present(topic, command[0] + " " + version))
        .orElseGet(() -> Finding.missing(topic, false, advice));
  }

  private static Finding debianPackage(String topic, String name) {
    return Tool.ask(VERSION, "dpkg-query", "--show", "--showformat=${Version}", name)
        .map(version -> Finding.present(topic, name + " " + version))
        .orElseGet(() -> Finding.missing(topic, false, "apt-get install " + name));
  }
}
