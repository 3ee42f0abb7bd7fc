package panamoe.lab.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;
import panamoe.harness.SharedOptions;
import panamoe.harness.UserText;
import panamoe.io.Words;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code panamoe bench accepted}: a GPU's measurements against the expected values. */
@Command(
    name = "accepted",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Compares results of bench with what is expected of a GPU, as a Markdown table.",
      "If several measurements match a row, the worst one counts."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe bench gate --device cuda --dtype bf16 --append results.jsonl",
      "  panamoe bench accepted results.jsonl"
    })
public final class AcceptedCommand implements Callable<Integer> {
  private static final String GATE = "router and gate, 4096 tokens, M = 2048, E = 128";

  @Mixin private SharedOptions shared;

  @Parameters(
      arity = "1..*",
      paramLabel = "FILE",
      description = "Files with lines of bench --json; other lines are skipped.")
  private List<Path> files;

  private final List<Line> lines = new ArrayList<>();

  @Override
  public Integer call() throws IOException {
    for (Path file : files) {
      read(file);
    }
    if (!shared.json()) {
      shared.out().println("| what | measured | expected | |\n|---|---|---|---|");
    }
    Predicate<Line> gate = line -> line.is("gate", "2048x2048x128x1") && line.tokens() == 4096;
    atMost(GATE, "µs", 25, worstTime(gate, line -> 1e3 * line.number("median_ms")));
    atLeast(GATE + ", times eager PyTorch", 5, ratio("torch", gate));
    Predicate<Line> experts = line -> line.is("grouped-gemm", null);
    atLeast(
        "grouped GEMM, share of cuBLASLt, 256 rows an expert or more, K 2048 or more",
        0.55,
        ratio("cublaslt", experts.and(l -> l.rowsOfExpert() >= 256 && l.shape().hidden() >= 2048)));
    atLeast(
        "grouped GEMM, share of min(memory, tensor cores), 17 to 128 rows",
        0.75,
        roofline(experts.and(line -> line.rowsOfExpert() > 16 && line.rowsOfExpert() <= 128)));
    atLeast(
        "grouped GEMM, share of memory, 16 rows or fewer",
        0.65,
        roofline(experts.and(line -> line.rowsOfExpert() <= 16)));
    atLeast("dispatch and combine, share of a copy, top-8", 0.85, dispatchAndCombine());
    Predicate<Line> layer =
        line -> line.is("moe-layer", null) && line.tokens() >= 512 && line.tokens() <= 4096;
    atLeast("layer, 512 to 4096 tokens, times the einsum", 6, ratio("torch-einsum", layer));
    atLeast("layer, 512 to 4096 tokens, times torch._grouped_mm", 1, ratio("torch-grouped", layer));
    atLeast(
        "attention, forward, 4096 tokens, share of peak",
        0.3,
        roofline(line -> line.is("attention", null) && line.tokens() == 4096));
    atMost(
        "decode, the host's part of a step",
        "µs",
        20,
        worstTime(line -> line.is("decode", null), line -> 1e3 * line.number("host_ms")));
    shared.out().flush();
    return 0;
  }

  private void read(Path file) throws IOException {
    int number = 0;
    for (String text : UserText.of(file).lines().toList()) {
      number++;
      if (text.startsWith("{\"name\":")) {
        lines.add(line(text, file + ", line " + number));
      }
    }
  }

  private static Line line(String text, String place) throws IOException {
    try {
      JsonNode json = JsonMapper.shared().readTree(text);
      if (Stream.of("dtype", "shape", "tokens").allMatch(json::hasNonNull)) {
        return new Line(json);
      }
    } catch (JacksonException _) {
      // truncated, for example by an interrupt
    }
    throw new IOException(
        place + ", is not a complete result of bench; remove the line or measure again");
  }

  /** One bfloat16 measurement. */
  private record Line(JsonNode json) {
    boolean is(String name, String shape) {
      return json.get("name").asString("").equals(name)
          && json.get("dtype").asString("").equals("bf16")
          && (shape == null || json.get("shape").asString("").equals(shape));
    }

    int tokens() {
      return json.get("tokens").asInt(0);
    }

    LayerShape shape() {
      return LayerShape.parse(json.get("shape").asString(""));
    }

    double rowsOfExpert() {
      return (double) tokens() * shape().topK() / shape().experts();
    }

    double number(String key) {
      return json.path(key).asDouble(Double.NaN);
    }
  }

  private OptionalDouble worstTime(Predicate<Line> which, ToDoubleFunction<Line> time) {
    return numbers(which, time).max();
  }

  private OptionalDouble ratio(String peer, Predicate<Line> which) {
    return numbers(
            which.and(line -> line.json.path("peer").asString("").equals(peer)),
            line -> line.number("ratio"))
        .min();
  }

  private OptionalDouble roofline(Predicate<Line> which) {
    return numbers(which, line -> line.number("roofline_fraction")).min();
  }

  private DoubleStream numbers(Predicate<Line> which, ToDoubleFunction<Line> number) {
    return lines.stream().filter(which).mapToDouble(number).filter(value -> !Double.isNaN(value));
  }

  /** Times of dispatch plus combine of equal shape and tokens, against a copy. */
  private OptionalDouble dispatchAndCombine() {
    return numbers(
            line -> line.is("dispatch", null) && line.shape().topK() == 8 && line.tokens() >= 512,
            this::withCombine)
        .min();
  }

  private double withCombine(Line dispatch) {
    Stream<Line> combines =
        lines.stream()
            .filter(line -> line.is("combine", dispatch.json.get("shape").asString("")))
            .filter(line -> line.tokens() == dispatch.tokens());
    return combines
        .mapToDouble(
            combine ->
                (dispatch.number("limit_ms") + combine.number("limit_ms"))
                    / (dispatch.number("median_ms") + combine.number("median_ms")))
        .min()
        .orElse(Double.NaN);
  }

  private void atMost(String what, String unit, double bar, OptionalDouble measured) {
    row(what, measured, " " + unit, "at most " + text(bar) + " " + unit, measured.orElse(0) <= bar);
  }

  private void atLeast(String what, double bar, OptionalDouble measured) {
    row(what, measured, "", "at least " + text(bar), measured.orElse(0) >= bar);
  }

  private void row(
      String what, OptionalDouble measured, String unit, String expected, boolean met) {
    boolean known = measured.isPresent();
    String figure = known ? text(measured.getAsDouble()) + unit : "not measured";
    String verdict = known ? met ? " met |" : " missed |" : " |";
    ObjectNode json = JsonNodeFactory.instance.objectNode().put("what", what);
    json.put("expected", expected);
    if (known) {
      json.put("measured", measured.getAsDouble()).put("met", met);
    }
    String row = "| " + String.join(" | ", what, figure, expected) + " |" + verdict;
    shared.out().println(shared.json() ? json : row);
  }

  private static String text(double number) {
    return Words.of(number < 10 ? "%.2f" : "%.1f", number);
  }
}
