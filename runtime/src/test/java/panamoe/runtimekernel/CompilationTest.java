package panamoe.runtimekernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import panamoe.backend.Activation;
import panamoe.tensor.DType;

/**
 * {@link RuntimeKernels}: NVRTC compiles every kernel that the models use. No GPU runs them here;
 * the emulation tests their results (native/test/runtime_kernel_test.cc).
 *
 * <p>Needs NVRTC, from this machine or from ci/fetch/nvrtc; without it these tests fail.
 */
@Tag("slow")
class CompilationTest {
  private static Nvrtc nvrtc;

  @BeforeAll
  static void open() {
    nvrtc = Nvrtc.open();
  }

  /**
   * sm_80 and sm_90, the targets of the ahead-of-time kernels, and the newest that this NVRTC
   * knows.
   */
  private static List<String> architectures() {
    List<String> all = new ArrayList<>(List.of("sm_80", "sm_90"));
    String newest = nvrtc.architecture("sm_999").replace("compute_", "sm_");
    if (!all.contains(newest)) {
      all.add(newest);
    }
    return all;
  }

  private record Combination(RuntimeKernel kernel, String architecture) {}

  /**
   * Each kernel with one architecture, in turn; with {@code -Dpanamoe.test.long=true} with each.
   */
  private static List<Combination> combinations() {
    List<String> architectures = architectures();
    List<Combination> all = new ArrayList<>();
    for (RuntimeKernel kernel : PresetKernels.all()) {
      for (String architecture :
          Boolean.getBoolean("panamoe.test.long")
              ? architectures
              : List.of(architectures.get(all.size() % architectures.size()))) {
        all.add(new Combination(kernel, architecture));
      }
    }
    return all;
  }

  @Test
  void everyKernelOfThePresetsBecomesMachineCodeWithoutSpills() {
    List<Combination> combinations = combinations();
    assertTrue(combinations.size() > 16, () -> "only " + combinations.size() + " combinations");
    List<String> failures =
        combinations.parallelStream()
            .map(CompilationTest::failure)
            .flatMap(Optional::stream)
            .toList();
    assertEquals(List.of(), failures);
  }

  private static Optional<String> failure(Combination combination) {
    Nvrtc.Compiled compiled =
        nvrtc.compile(combination.kernel().source(), combination.architecture());
    List<String> frames =
        compiled.log().lines().filter(line -> line.contains("bytes stack frame")).toList();
    boolean machineCode =
        new String(compiled.image(), 0, 4, StandardCharsets.ISO_8859_1).equals("\u007fELF");
    boolean noSpills =
        !frames.isEmpty()
            && frames.stream()
                .allMatch(
                    frame ->
                        frame.contains(
                            " 0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads"));
    return machineCode && noSpills
        ? Optional.empty()
        : Optional.of(combination + ": " + compiled.log());
  }

  @Test
  void aDeviceNewerThanNvrtcGetsPtx() {
    String architecture = nvrtc.architecture("sm_999");
    assertTrue(architecture.matches("compute_\\d+"), architecture);
    KernelSource source = new RuntimeKernel.CustomActivation(PresetKernels.X_TANH).source();
    byte[] image = nvrtc.compile(source, architecture).image();
    String ptx = new String(image, StandardCharsets.US_ASCII);
    assertTrue(ptx.contains(".target sm_" + architecture.substring("compute_".length())), ptx);
    assertTrue(ptx.contains("activation_forward") && ptx.contains("activation_backward"), ptx);
  }

  @Test
  void devicesWithoutMachineCodeAreRefused() {
    assertRefused(
        "a device of target AVX3_ZEN4 takes no kernels", () -> nvrtc.architecture("AVX3_ZEN4"));
    assertRefused("and newer, not for sm_20", () -> nvrtc.architecture("sm_20"));
  }

  @Test
  void aMistakeInAnExpressionIsShownWhereItIs() {
    ActivationExpression wrong = new ActivationExpression("x *\n  tanhg(x)", "1");
    for (RuntimeKernel kernel : kernelsOf(wrong)) {
      CompilationException refused =
          assertThrows(CompilationException.class, () -> nvrtc.compile(kernel.source(), "sm_80"));
      assertTrue(
          refused
              .getMessage()
              .contains("activation(2): error: identifier \"tanhg\" is undefined: tanhg(x)"),
          refused::getMessage);
      assertTrue(refused.log().contains("1 error detected"), refused::log);
    }
    ActivationExpression unfinished = new ActivationExpression("x", "x * (1 - ");
    CompilationException refused =
        assertThrows(
            CompilationException.class,
            () -> nvrtc.compile(new RuntimeKernel.CustomActivation(unfinished).source(), "sm_90"));
    assertTrue(refused.getMessage().contains("derivative("), refused::getMessage);
  }

  private static List<RuntimeKernel> kernelsOf(ActivationExpression expression) {
    return List.of(
        new RuntimeKernel.CustomActivation(expression),
        new RuntimeKernel.Expert(
            64, Activation.CUSTOM, expression, DType.FLOAT32, DType.FLOAT32, DType.FLOAT32));
  }

  @Test
  void descriptionsOfNoKernelAreRefused() {
    assertRefused("function is empty", () -> new ActivationExpression(" ", "1"));
    assertRefused("derivative is empty", () -> new ActivationExpression("x", null));
    assertRefused(
        "inner is 12, expected a multiple of 8",
        () -> expert(12, Activation.GELU, null, DType.FLOAT32));
    assertRefused(
        "CUSTOM, without an expression", () -> expert(8, Activation.CUSTOM, null, DType.FLOAT32));
    assertRefused(
        "GELU, with an expression",
        () -> expert(8, Activation.GELU, PresetKernels.X_TANH, DType.FLOAT32));
    assertRefused("an element type is INT32", () -> expert(8, Activation.GELU, null, DType.INT32));
  }

  private static RuntimeKernel expert(
      int inner, Activation activation, ActivationExpression custom, DType dtype) {
    return new RuntimeKernel.Expert(inner, activation, custom, dtype, dtype, dtype);
  }

  private static void assertRefused(String words, Executable call) {
    IllegalArgumentException refused = assertThrows(IllegalArgumentException.class, call);
    assertTrue(refused.getMessage().contains(words), refused::getMessage);
  }
}
