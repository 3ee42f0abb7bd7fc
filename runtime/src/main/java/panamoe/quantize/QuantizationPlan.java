package panamoe.quantize;

import static java.util.stream.Collectors.groupingBy;
import static java.util.stream.Collectors.toList;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import panamoe.io.ConfigJson;
import panamoe.io.Omittable;
import panamoe.io.Require;
import panamoe.model.ModelTensors.QuantizedMatrix;

/**
 * Assigns block formats to matrices by a file: {@code {"rules": [{"names": "*.down.weight",
 * "layers": "0-3,7", "experts": "0-15", "to": "q6_k"}]}}. A rule applies to the matrices that match
 * all of its parts; rules must not contradict each other.
 */
public record QuantizationPlan(List<Rule> rules) {
  /** Without a file: all matrices alike. */
  public static final QuantizationPlan NONE = new QuantizationPlan(List.of());

  /**
   * @param names of matrices in a checkpoint, {@code *} for any characters; null for all
   * @param layers numbers and ranges; null for all
   * @param experts numbers and ranges; null for all
   */
  public record Rule(
      @Omittable String names,
      @Omittable String layers,
      @Omittable String experts,
      QuantizationFormat to) {
    private static final Pattern RANGES =
        Pattern.compile("\\d{1,6}(-\\d{1,6})?(,\\d{1,6}(-\\d{1,6})?)*");

    public Rule {
      if (names == null && layers == null && experts == null) {
        throw new IllegalArgumentException("it has none of names, layers and experts");
      }
      Require.that(to != null, "to is missing, the blocks that it asks for");
      requireRanges("layers", layers);
      requireRanges("experts", experts);
    }

    private static void requireRanges(String what, String ranges) {
      if (ranges != null && !RANGES.matcher(ranges).matches()) {
        throw new IllegalArgumentException(
            what + " is \"" + ranges + "\", expected numbers and ranges such as \"0-3,7\"");
      }
      for (String range : ranges == null ? new String[0] : ranges.split(",")) {
        if (first(range) > last(range)) {
          throw new IllegalArgumentException(
              what + " has the range \"" + range + "\" backwards; write the lower number first");
        }
      }
    }

    private static int first(String range) {
      return Integer.parseInt(range.split("-")[0]);
    }

    private static int last(String range) {
      return Integer.parseInt(range.substring(range.indexOf('-') + 1));
    }

    boolean names(QuantizedMatrix matrix) {
      return (names == null || glob(names).matcher(matrix.name()).matches())
          && holds(layers, matrix.layer())
          && holds(experts, matrix.expert());
    }

    /**
     * Matches each piece between stars at its first occurrence, which leaves most for the others:
     * backtracking could take exponential time.
     */
    private static Pattern glob(String names) {
      String[] pieces = names.split("\\*+", -1);
      StringBuilder pattern = new StringBuilder(Pattern.quote(pieces[0]));
      for (int i = 1; i < pieces.length - 1; i++) {
        pattern.append("(?>.*?").append(Pattern.quote(pieces[i])).append(")");
      }
      if (pieces.length > 1) {
        pattern.append(".*").append(Pattern.quote(pieces[pieces.length - 1]));
      }
      return Pattern.compile(pattern.toString());
    }

    private static boolean holds(String ranges, int number) {
      if (ranges == null) {
        return true;
      }
      for (String range : ranges.split(",")) {
        if (number >= first(range) && number <= last(range)) {
          return true;
        }
      }
      return false;
    }
  }

  public QuantizationPlan {
    rules = List.copyOf(rules);
  }

  /**
   * Reads a plan.
   *
   * @throws IllegalArgumentException with what is wrong
   */
  public static QuantizationPlan read(Path file) {
    QuantizationPlan plan = ConfigJson.read(file, QuantizationPlan.class);
    Require.that(!plan.rules.isEmpty(), "%s has no rules", file);
    return plan;
  }

  /**
   * The plan that gives each matrix its format, with few rules: by classes and ranges of layers,
   * and of experts where those of a layer differ.
   */
  public static QuantizationPlan of(Map<QuantizedMatrix, QuantizationFormat> formats) {
    Map<String, Map<QuantizationFormat, List<QuantizedMatrix>>> stacks =
        formats.keySet().stream()
            .collect(
                groupingBy(
                    QuantizedMatrix::parameter,
                    LinkedHashMap::new,
                    groupingBy(formats::get, LinkedHashMap::new, toList())));
    Map<Rule, List<Integer>> layers = new LinkedHashMap<>(); // of rules without them
    stacks
        .values()
        .forEach(
            stack ->
                stack.forEach(
                    (format, matrices) -> {
                      QuantizedMatrix first = matrices.getFirst();
                      String experts =
                          stack.size() == 1
                              ? null
                              : ranges(matrices.stream().map(QuantizedMatrix::expert).toList());
                      layers
                          .computeIfAbsent(
                              new Rule(names(first), null, experts, format), _ -> new ArrayList<>())
                          .add(first.layer());
                    }));
    List<Rule> rules = new ArrayList<>();
    layers.forEach(
        (rule, numbers) ->
            rules.add(
                new Rule(
                    rule.names,
                    numbers.contains(-1) ? null : ranges(numbers),
                    rule.experts,
                    rule.to)));
    return new QuantizationPlan(rules);
  }

  /**
   * The names of a matrix's class: its own with a star for each number. A star matches more, as
   * {@code layers.*.mlp} does {@code layers.1.moe.mlp}; but no layer has both, and rules name
   * layers.
   */
  static String names(QuantizedMatrix matrix) {
    return matrix.name().replaceAll("\\.\\d+\\.", ".*.");
  }

  /**
   * @param numbers ascending
   */
  private static String ranges(List<Integer> numbers) {
    StringBuilder ranges = new StringBuilder();
    for (int i = 0, end; i < numbers.size(); i = end) {
      end = i + 1;
      while (end < numbers.size() && numbers.get(end) == numbers.get(end - 1) + 1) {
        end++;
      }
      ranges.append(i == 0 ? "" : ",").append(numbers.get(i));
      if (end > i + 1) {
        ranges.append("-").append(numbers.get(end - 1));
      }
    }
    return ranges.toString();
  }

  /**
   * The formats of the matrices that its rules name.
   *
   * @throws IllegalArgumentException if a rule matches no matrix, or two contradict each other
   */
  Map<QuantizedMatrix, QuantizationFormat> of(List<QuantizedMatrix> matrices) {
    Map<QuantizedMatrix, Integer> ruled = new LinkedHashMap<>();
    for (int i = 0; i < rules.size(); i++) {
      Rule rule = rules.get(i);
      List<QuantizedMatrix> named = new ArrayList<>(matrices);
      named.removeIf(matrix -> !rule.names(matrix));
      Require.that(
          !named.isEmpty(),
          "rule %s of the plan names no matrix of the model that is rounded",
          i + 1);
      for (QuantizedMatrix matrix : named) {
        Integer before = ruled.put(matrix, i);
        if (before != null && !rules.get(before).to().equals(rule.to())) {
          throw Require.refusal(
              "rules %d and %d of the plan contradict each other: %s is to be %s and %s",
              before + 1, i + 1, matrix.name(), rules.get(before).to(), rule.to());
        }
      }
    }
    Map<QuantizedMatrix, QuantizationFormat> formats = new LinkedHashMap<>();
    ruled.forEach((matrix, rule) -> formats.put(matrix, rules.get(rule).to()));
    return formats;
  }
}
