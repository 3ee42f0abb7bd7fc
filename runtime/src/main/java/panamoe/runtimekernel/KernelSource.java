package panamoe.runtimekernel;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The input of NVRTC: a file of {@code native/cuda/runtime_kernel}, the headers it may include, and
 * macro definitions.
 *
 * @param file name of the file, for messages
 * @param text its text
 * @param headers text by the name that is included
 * @param definitions such as {@code KERNEL_EXPERTS=8}
 */
record KernelSource(
    String file, String text, Map<String, String> headers, List<String> definitions) {
  private static final List<String> SHARED =
      List.of(
          "cuda/expert/activation.h",
          "cuda/gate/choice.h",
          "cuda/gate/lanes.h",
          "cuda/kernel/reduce.h",
          "cuda/kernel/shared.h",
          "cuda/runtime_kernel/activation.h",
          "cuda/runtime_kernel/element.h",
          "cuda/runtime_kernel/expert.h",
          "cuda/runtime_kernel/gate.h",
          "cuda/runtime_kernel/kernel.h");
  private static final List<String> ABI =
      List.of("moe/device.h", "moe/elementwise.h", "moe/gate.h", "moe/status.h", "moe/tensor.h");
  private static final String INTEGERS =
      """
      #pragma once
      typedef signed char int8_t;
      typedef unsigned char uint8_t;
      typedef short int16_t;
      typedef unsigned short uint16_t;
      typedef int int32_t;
      typedef unsigned int uint32_t;
      typedef long long int64_t;
      typedef unsigned long long uint64_t;
      """;

  /** The few declarations of system headers that the kernels use; NVRTC has no system headers. */
  private static final Map<String, String> SYSTEM =
      Map.of(
          "cuda_runtime.h", "",
          "stdint.h", INTEGERS,
          "cstdint", INTEGERS,
          "climits", "#define INT_MAX 2147483647\n",
          "cfloat", "#define FLT_MAX 3.402823466e+38f\n",
          "cmath", "#define INFINITY __int_as_float(0x7f800000)\n");

  /**
   * {@code name} is "gate", "expert" or "activation"; {@code custom} the header of an activation,
   * or null.
   */
  static KernelSource of(String name, String custom, List<String> definitions) {
    Map<String, String> headers = new LinkedHashMap<>();
    SHARED.forEach(header -> headers.put(header, read(header)));
    ABI.forEach(header -> headers.put(header, read("include/" + header)));
    SYSTEM.entrySet().stream()
        .sorted(Map.Entry.comparingByKey())
        .forEach(e -> headers.put(e.getKey(), e.getValue()));
    if (custom != null) {
      headers.put("custom_activation.h", custom);
    }
    return new KernelSource(
        name + ".cu", read("cuda/runtime_kernel/" + name + ".cu"), headers, definitions);
  }

  private static String read(String file) {
    try (InputStream in = KernelSource.class.getResourceAsStream("native/" + file)) {
      if (in == null) {
        throw new IllegalStateException(
            "the kernel source " + file + " is not packed with these classes");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException("the kernel source " + file + " cannot be read", e);
    }
  }
}
