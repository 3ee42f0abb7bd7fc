package panamoe.harness.plan;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.config.ModelConfig;
import panamoe.engine.EngineConfig;
import panamoe.harness.PartBar;
import panamoe.io.Count;
import panamoe.plan.Cluster;
import panamoe.plan.LatencyModel;
import panamoe.plan.Search;
import panamoe.plan.SkewSweep;
import panamoe.tensor.DType;
import picocli.CommandLine.Option;

/** The options of {@code plan} for serving alone. */
final class ServingOptions {
  /** All of them. */
  static final List<String> OF_SERVING = List.of("--latency", "--prompt");

  private static final Pattern TIME = Pattern.compile("(\\d+(?:\\.\\d+)?)(us|ms|s)");

  /** Sequences of a data rank of a server. */
  private static final long BATCH = 8;

  /** Tokens of a prompt, if it is no longer than the context: all are read in one step. */
  private static final int PROMPT = EngineConfig.STEP_TOKENS;

  @Option(
      names = "--latency",
      paramLabel = "TIME",
      description = "Most time for a token, such as 25ms. Default: no limit.")
  private String latency;

  @Option(
      names = "--prompt",
      paramLabel = "N",
      description = {
        "Tokens of a prompt, whose time to the first token is shown.",
        "Default: " + PROMPT + ", or the context."
      })
  private Integer prompt;

  private boolean limited() {
    return latency != null;
  }

  /**
   * The search over ways to serve a model.
   *
   * @throws IllegalArgumentException if an option makes no sense
   */
  Search search(String name, ModelConfig model, Sizes sizes, Cluster cluster, LatencyModel times) {
    if (limited()) {
      seconds();
    }
    Search search =
        new Search(
            name,
            model,
            cluster,
            times,
            sizes.dtype() == null ? DType.BFLOAT16 : sizes.dtype(),
            sizes.batch() == null ? BATCH : sizes.batch(),
            sizes.context() == null ? model.context() : sizes.context());
    if (prompt != null && (prompt < 1 || prompt > search.context())) {
      throw new IllegalArgumentException(
          "the prompt is "
              + prompt
              + ", expected 1 to the context of "
              + Count.of(search.context(), "token"));
    }
    return search;
  }

  /**
   * What the search finds.
   *
   * @param skewed whether what skew costs is shown
   */
  ServingReport report(Search search, boolean skewed) {
    SkewTable table =
        skewed
            ? SkewTable.of(
                new SkewSweep(
                    search.config(), search.latency().skew(), PROMPT, search.cluster().cards()))
            : null;
    try (PartBar bar = PartBar.onStandardError("planning")) {
      Search.Found found = search.find(bar);
      Search.Found within = limited() ? search.within(seconds(), found) : found;
      int tokens = prompt != null ? prompt : Math.min(PROMPT, search.context());
      return new ServingReport(search, within, PromptTimes.of(search, within, tokens), table);
    }
  }

  private double seconds() {
    Matcher time = TIME.matcher(latency);
    double value = time.matches() ? Double.parseDouble(time.group(1)) : 0;
    if (!(value > 0)) {
      throw new IllegalArgumentException(
          "--latency is '" + latency + "', expected a time above 0 such as 25ms or 0.5s");
    }
    return switch (time.group(2)) {
      case "us" -> value / 1e6;
      case "ms" -> value / 1e3;
      default -> value;
    };
  }
}
