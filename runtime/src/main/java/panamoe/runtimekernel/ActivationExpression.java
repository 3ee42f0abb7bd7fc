package panamoe.runtimekernel;

import panamoe.io.Words;

/**
 * A user's activation: two CUDA C++ expressions of a float {@code x}.
 *
 * @param function such as {@code x * tanhf(x)}
 * @param derivative by x, such as {@code tanhf(x) + x * (1 - tanhf(x) * tanhf(x))}
 */
public record ActivationExpression(String function, String derivative) {
  public ActivationExpression {
    requireText("function", function);
    requireText("derivative", derivative);
  }

  /**
   * The source of the two functions that kernels call. Line directives make compiler messages count
   * the expression's lines.
   */
  String header() {
    return "#pragma once\n"
        + function("custom", "activation", function)
        + function("custom_slope", "derivative", derivative);
  }

  private static String function(String name, String title, String expression) {
    return Words.of(
        "__device__ __forceinline__ float %s(float x) {\n  return (\n#line 1 \"%s\"\n%s\n  );\n}\n",
        name, title, expression);
  }

  private static void requireText(String name, String expression) {
    if (expression == null || expression.isBlank()) {
      throw new IllegalArgumentException(
          "the activation's " + name + " is empty, expected a CUDA C++ expression of x");
    }
  }
}
