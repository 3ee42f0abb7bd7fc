package panamoe.param;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import panamoe.config.AdapterConfig;
import panamoe.io.Require;
import panamoe.parallel.Ranks;
import panamoe.param.Parameter.Part;
import panamoe.param.Parameter.Role;
import panamoe.param.Parameter.Share;

/** Declares the adapters of a model's matrices. */
public final class Adapters {
  private static final Map<String, Predicate<Parameter>> WORDS = new LinkedHashMap<>();

  static {
    WORDS.put("attention", each -> each.part() == Part.ATTENTION);
    WORDS.put("dense", each -> each.part() == Part.MLP && !isShared(each));
    WORDS.put("shared", each -> each.part() == Part.MLP && isShared(each));
    WORDS.put("experts", each -> each.part() == Part.EXPERT);
    WORDS.put("all", Adapters::isInner);
    WORDS.put("router", each -> each.part() == Part.ROUTER && !isShared(each));
    WORDS.put("head", each -> each.part() == Part.EMBEDDING);
  }

  private static final String A = ".lora_a";
  private static final String B = ".lora_b";

  private Adapters() {}

  /** The name of A of a matrix. */
  public static String a(String matrix) {
    return matrix + A;
  }

  /** The name of B of a matrix. */
  public static String b(String matrix) {
    return matrix + B;
  }

  /** Whether a parameter or tensor of this name belongs to an adapter. */
  public static boolean isFactor(String name) {
    return name.endsWith(A) || name.endsWith(B);
  }

  private static boolean isInner(Parameter parameter) {
    return switch (parameter.part()) {
      case ATTENTION, MLP, EXPERT -> true;
      default -> false;
    };
  }

  private static boolean isShared(Parameter parameter) {
    return parameter.name().contains(".shared.");
  }

  /**
   * Declares {@code name.lora_a} [r, K] and {@code name.lora_b} [N, r] for each matrix {@code name}
   * that the config targets; of experts, one for each. They are sliced like their matrix: B by
   * outputs, A by inputs; the other is whole, and its gradient is the sum over the slices. Call it
   * after the model has declared its parameters, on all ranks.
   *
   * @throws IllegalArgumentException if a target matches nothing, or the rank exceeds a matrix
   */
  public static void declare(ParameterStore store, AdapterConfig config) {
    List<Parameter> matrices = matrices(store);
    Set<Parameter> chosen = new LinkedHashSet<>();
    for (String target : config.targets()) {
      Predicate<Parameter> matches = WORDS.getOrDefault(target, named(target));
      List<Parameter> found = matrices.stream().filter(matches).toList();
      Require.that(
          !found.isEmpty(),
          "the target %s matches no matrix of the model; there are %s",
          target,
          choices(matrices));
      chosen.addAll(found);
    }
    matrices.stream().filter(chosen::contains).forEach(each -> declare(store, each, config));
  }

  /** The matrices that may have adapters: all but an embedding, whose rows are looked up. */
  private static List<Parameter> matrices(ParameterStore store) {
    return store.parameters().stream()
        .filter(each -> each.role() == Role.OPERAND)
        .filter(each -> each.part() != Part.EMBEDDING || each.name().startsWith("head."))
        .toList();
  }

  /** Matches a name, also without its {@code .weight}. */
  private static Predicate<Parameter> named(String pattern) {
    Predicate<String> matches =
        Pattern.compile(
                Stream.of(pattern.split("\\*", -1))
                    .map(Pattern::quote)
                    .collect(Collectors.joining(".*")))
            .asMatchPredicate();
    return each ->
        matches.test(each.name()) || matches.test(each.name().replaceFirst("\\.weight$", ""));
  }

  private static String choices(List<Parameter> matrices) {
    List<String> choices = new ArrayList<>();
    WORDS.forEach(
        (word, matches) -> {
          if (matrices.stream().anyMatch(matches)) {
            choices.add(word);
          }
        });
    matrices.stream()
        .map(each -> each.name().replaceAll("\\.\\d+\\.", ".*.").replaceFirst("\\.weight$", ""))
        .distinct()
        .forEach(choices::add);
    return String.join(", ", choices);
  }

  private static void declare(ParameterStore store, Parameter of, AdapterConfig config) {
    long[] matrix = of.matrixShape();
    int outputs = matrix.length - 2;
    int inputs = matrix.length - 1;
    long most = Math.min(matrix[outputs], matrix[inputs]);
    Require.that(
        config.rank() <= most,
        "rank is %s, but %s is a matrix of %s x %s: expected at most %s",
        config.rank(),
        of.name(),
        matrix[outputs],
        matrix[inputs],
        most);
    long[] a = matrix.clone();
    a[outputs] = config.rank();
    long[] b = matrix.clone();
    b[inputs] = config.rank();
    Share whole = overSlices(store.ranks(), of.share());
    int axis = of.slice().axis();
    Initialization spread = new Initialization.Uniform((float) (1 / Math.sqrt(matrix[inputs])));
    of.adapt(
        new Adapter(
            factor(store, of, a(of.name()), spread, axis == outputs ? whole : of.share(), a),
            factor(
                store,
                of,
                b(of.name()),
                Initialization.ZERO,
                axis == inputs ? whole : of.share(),
                b),
            config.scale(),
            (float) config.dropout(),
            0));
  }

  /**
   * Declares, for some matrices of a model on one rank, {@code choices} adapters to choose from.
   *
   * @param choices 0: one adapter, of all rows
   * @param ranks r by the name of the matrix's parameter
   */
  public static void declare(ParameterStore store, int choices, Map<String, Integer> ranks) {
    for (Parameter of : matrices(store)) {
      if (ranks.containsKey(of.name())) {
        int r = ranks.get(of.name());
        long[] matrix = of.matrixShape();
        Share whole =
            new Share(of.share().replicas(), of.share().experts(), Slice.WHOLE, false, true);
        Initialization zero = Initialization.ZERO;
        of.adapt(
            new Adapter(
                factor(store, of, a(of.name()), zero, whole, stack(choices, r, matrix[1])),
                factor(store, of, b(of.name()), zero, whole, stack(choices, matrix[0], r)),
                1,
                0,
                choices));
      }
    }
  }

  private static long[] stack(int choices, long rows, long columns) {
    return choices == 0 ? new long[] {rows, columns} : new long[] {choices, rows, columns};
  }

  private static Parameter factor(
      ParameterStore store,
      Parameter of,
      String name,
      Initialization initialization,
      Share share,
      long[] shape) {
    return store.declare(
        new Parameter(name, of.part(), Role.ADAPTER, initialization, share, shape));
  }

  /** The share of a factor that each slice has whole, with a gradient over its slice. */
  private static Share overSlices(Ranks ranks, Share share) {
    return new Share(
        share.experts() == null ? ranks.world() : ranks.replicasOverSlices(share.experts()),
        share.experts(),
        Slice.WHOLE,
        true,
        true);
  }
}
