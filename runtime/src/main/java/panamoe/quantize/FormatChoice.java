package panamoe.quantize;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleBinaryOperator;
import panamoe.io.Require;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.quantize.Sensitivity.Option;
import panamoe.quantize.Sensitivity.Stack;

/**
 * A format for each stack of a model. It begins with the smallest formats, and spends bytes where
 * they save most loss, along the lower convex hulls of bytes and loss: until a step does not fit,
 * no other choice of as many bytes has a smaller loss.
 *
 * @param options the chosen ones, in the order of the stacks
 */
public record FormatChoice(Sensitivity sensitivity, List<Option> options) {
  /** From one option of a stack to the next on its hull. */
  private record Step(int stack, Option to, long bytes, double loss) {
    double lossPerByte() {
      return loss / bytes;
    }
  }

  public FormatChoice {
    options = List.copyOf(options);
  }

  /**
   * A small loss in a number of bytes. The step of a large stack may not fit after those of small
   * ones, so each stack is also tried with each of its options from the start.
   *
   * @param bytes of all tensors
   * @throws IllegalArgumentException if no choice is so small
   */
  public static FormatChoice ofSize(Sensitivity sensitivity, long bytes) {
    FormatChoice smallest = smallest(sensitivity);
    Require.that(
        smallest.bytes() <= bytes,
        "the size is %s bytes, but in the smallest formats the model has %s",
        bytes,
        smallest.bytes());
    DoubleBinaryOperator room = (size, _) -> bytes - size;
    FormatChoice best = smallest.grown(room);
    for (int i = 0; i < smallest.options.size(); i++) {
      for (Option option : hull(sensitivity.stacks().get(i))) {
        List<Option> options = new ArrayList<>(smallest.options);
        options.set(i, option);
        FormatChoice other = new FormatChoice(sensitivity, options).grown(room);
        best = other.bytes() <= bytes && other.loss() < best.loss() ? other : best;
      }
    }
    return best;
  }

  /**
   * Few bytes for a loss: steps are taken until it is reached, and the last may save more loss than
   * is needed.
   *
   * @param loss the most, as a part of the source's cross-entropy
   */
  public static FormatChoice ofLoss(Sensitivity sensitivity, double loss) {
    return smallest(sensitivity)
        .grown((_, reached) -> reached > loss ? Double.POSITIVE_INFINITY : 0);
  }

  private static FormatChoice smallest(Sensitivity sensitivity) {
    return new FormatChoice(
        sensitivity, sensitivity.stacks().stream().map(it -> hull(it).getFirst()).toList());
  }

  /** A stack's options that are best for some price of a byte, the smallest first. */
  private static List<Option> hull(Stack stack) {
    List<Option> hull = new ArrayList<>();
    stack.options().stream()
        .sorted(Comparator.comparingLong(Option::bytes).thenComparingDouble(Option::loss))
        .forEach(
            option -> {
              while (!hull.isEmpty() && isAbove(hull, option)) {
                hull.removeLast();
              }
              if (hull.isEmpty() || option.loss() < hull.getLast().loss()) {
                hull.add(option);
              }
            });
    return hull;
  }

  /** Whether the last of these is on or above the line from the one before it to the next. */
  private static boolean isAbove(List<Option> hull, Option next) {
    Option last = hull.getLast();
    if (hull.size() == 1) {
      return false;
    }
    Option before = hull.get(hull.size() - 2);
    double bytes = next.bytes() - before.bytes();
    double loss = next.loss() - before.loss();
    return last.loss() - before.loss() >= loss / bytes * (last.bytes() - before.bytes());
  }

  /**
   * Takes steps with the most loss saved per byte first. A stack stops at a step that does not fit.
   *
   * @param room bytes that a step may have, by the bytes and the loss so far
   */
  private FormatChoice grown(DoubleBinaryOperator room) {
    List<Step> steps = new ArrayList<>();
    for (int i = 0; i < options.size(); i++) {
      List<Option> hull = hull(sensitivity.stacks().get(i));
      for (int at = hull.indexOf(options.get(i)) + 1; at < hull.size(); at++) {
        Option from = hull.get(at - 1);
        Option to = hull.get(at);
        steps.add(new Step(i, to, to.bytes() - from.bytes(), from.loss() - to.loss()));
      }
    }
    steps.sort(Comparator.comparingDouble(Step::lossPerByte).reversed());
    List<Option> chosen = new ArrayList<>(options);
    boolean[] stopped = new boolean[chosen.size()];
    double bytes = bytes();
    double loss = loss();
    for (Step step : steps) {
      stopped[step.stack] |= step.bytes > room.applyAsDouble(bytes, loss);
      if (!stopped[step.stack]) {
        chosen.set(step.stack, step.to);
        bytes += step.bytes;
        loss -= step.loss;
      }
    }
    return new FormatChoice(sensitivity, chosen);
  }

  /** Bytes of all tensors. */
  public long bytes() {
    return sensitivity.otherBytes() + options.stream().mapToLong(Option::bytes).sum();
  }

  /** The expected rise of the cross-entropy, as a part of the source's. */
  public double loss() {
    return options.stream().mapToDouble(Option::loss).sum();
  }

  /**
   * The format of each matrix.
   *
   * @param rules which some have by a plan
   */
  public Map<QuantizedMatrix, QuantizationFormat> formats(
      Map<QuantizedMatrix, QuantizationFormat> rules) {
    Map<QuantizedMatrix, QuantizationFormat> formats = new LinkedHashMap<>();
    for (int i = 0; i < options.size(); i++) {
      QuantizationFormat format = options.get(i).format();
      sensitivity
          .stacks()
          .get(i)
          .matrices()
          .forEach(matrix -> formats.put(matrix, rules.getOrDefault(matrix, format)));
    }
    return formats;
  }
}
