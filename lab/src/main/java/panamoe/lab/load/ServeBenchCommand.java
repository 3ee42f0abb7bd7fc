package panamoe.lab.load;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import panamoe.harness.SharedOptions;
import panamoe.io.Words;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.json.JsonMapper;

/** {@code panamoe bench serve}. */
@Command(
    name = "serve",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Measures a server under load: its capacity, then its latencies while requests arrive as a Poisson process, whether or not it keeps "
          + "up.",
      "",
      "Starts 'panamoe serve MODEL' in a process of its own, or asks the server at "
          + "--url, which may be any OpenAI-compatible server. Prompts have many lengths, and a part of them shares prefixes. A request is good if its first chunk and the following ones come in time."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe bench serve novels",
      "  panamoe bench serve novels --rate 1x,2x --seconds 30 -- --sequences 32 --max-queued-requests 16",
      "  panamoe bench serve --url http://localhost:8080 --rate 5,10",
      "",
      "Load and server share this machine: use --url to measure from another one. docs/benchmarks.md",
      "explains the columns."
    })
public final class ServeBenchCommand implements Callable<Integer> {
  @Mixin private SharedOptions shared;

  @Parameters(
      index = "0",
      arity = "0..1",
      paramLabel = "MODEL",
      description = "A run's folder, or a checkpoint.")
  private Path model;

  @Parameters(
      index = "1..*",
      paramLabel = "-- OPTIONS",
      description = "After --: options of serve.")
  private List<String> serverOptions = List.of();

  @Option(
      names = "--url",
      paramLabel = "URL",
      description = "Measure this server instead of MODEL.")
  private String url;

  @Option(
      names = "--rate",
      split = ",",
      paramLabel = "R",
      defaultValue = "0.5x,1x,2x",
      converter = RequestRate.Converter.class,
      description =
          "Requests per second; with x, a multiple of the server's capacity. Default: ${DEFAULT-VALUE}.")
  private List<RequestRate> rates;

  @Option(
      names = "--seconds",
      paramLabel = "S",
      defaultValue = "20",
      description = "Duration of each rate. Default: ${DEFAULT-VALUE}.")
  private double seconds;

  @Option(
      names = "--users",
      paramLabel = "N",
      defaultValue = "16",
      description =
          "Concurrent users in the measurement of the capacity. Default: ${DEFAULT-VALUE}.")
  private int users;

  @Option(
      names = "--prompt-tokens",
      paramLabel = "N",
      description =
          "Largest prompt; the smallest is a sixteenth. Default: half of the context, at most 256.")
  private Integer promptTokens;

  @Option(
      names = "--text-tokens",
      paramLabel = "N",
      description =
          "Largest completion; the smallest is an eighth. Default: a quarter of the context, at most 64.")
  private Integer textTokens;

  @Option(
      names = "--shared",
      paramLabel = "PART",
      defaultValue = "0.5",
      description =
          "Part, 0 to 1, of the longer prompts with a shared prefix. Default: ${DEFAULT-VALUE}.")
  private double alike;

  @Option(
      names = "--first-ms",
      paramLabel = "MS",
      defaultValue = "1000",
      description = "Latency target of the first chunk. Default: ${DEFAULT-VALUE}.")
  private long firstMs;

  @Option(
      names = "--next-ms",
      paramLabel = "MS",
      defaultValue = "100",
      description = "Latency target between chunks, on average. Default: ${DEFAULT-VALUE}.")
  private long nextMs;

  @Override
  public Integer call() throws IOException, InterruptedException {
    shared.require(model != null || url != null, "name a MODEL, or a server by --url");
    shared.require(
        model == null || url == null, "MODEL and --url are both given: name one of them");
    shared.require(url == null || serverOptions.isEmpty(), "options of serve need a MODEL");
    shared.require(
        seconds >= 1 && seconds <= 3600, "--seconds is " + seconds + ", expected 1 to 3600");
    shared.require(users >= 1 && users <= 4096, "--users is " + users + ", expected 1 to 4096");
    shared.require(
        firstMs >= 1 && nextMs >= 1,
        "--first-ms is " + firstMs + " and --next-ms " + nextMs + ", expected 1 or more");
    if (url != null) {
      measure(url);
    } else {
      try (ServedProcess server = new ServedProcess(model, options())) {
        measure(server.url());
      }
    }
    return 0;
  }

  private List<String> options() {
    List<String> options = shared.ofMachine();
    options.addAll(serverOptions);
    return options;
  }

  private void measure(String base) throws IOException, InterruptedException {
    LatencyTargets targets =
        new LatencyTargets(Duration.ofMillis(firstMs), Duration.ofMillis(nextMs));
    try (LoadClient client = client(base)) {
      RequestMix.Shape shape = shape(client.model().context());
      double letters = client.lettersPerToken(RequestMix.sample());
      RequestMix mix = new RequestMix(shape, letters, shared.seed());
      LoadRun run = new LoadRun(client, mix, shared.seed());
      if (!shared.json()) {
        say(client.model(), shape);
      }
      progress("warming up");
      run.closed(users, Math.min(3, seconds));
      progress("at most");
      long start = System.nanoTime();
      List<RequestResult> closed = run.closed(users, seconds);
      LoadResult most = result("closed", start, closed, targets);
      print(most);
      shared.require(most.donePerS() > 0, "the server answers no request: see its messages");
      for (RequestRate rate : rates) {
        progress("at " + rate.text());
        start = System.nanoTime();
        List<RequestResult> outcomes = run.open(rate.perSecond(most.donePerS()), seconds);
        print(result(rate.text(), start, outcomes, targets));
      }
    }
  }

  private LoadClient client(String base) throws IOException, InterruptedException {
    try {
      return new LoadClient(base);
    } catch (IllegalArgumentException e) {
      throw shared.usage("--url %s is not the address of a server", base);
    }
  }

  private LoadResult result(
      String load, long start, List<RequestResult> outcomes, LatencyTargets targets) {
    outcomes.stream()
        .filter(outcome -> outcome.kind() == RequestResult.Kind.FAILED)
        .findFirst()
        .ifPresent(failed -> shared.err().println("a request failed: " + failed.why()));
    double took = Math.max(seconds, (System.nanoTime() - start) / 1e9);
    return LoadResult.of(load, seconds, took, outcomes, targets);
  }

  private RequestMix.Shape shape(int context) {
    int room = context == 0 ? 1024 : context;
    int prompt = promptTokens == null ? Math.clamp(room / 2, 1, 256) : promptTokens;
    int text = textTokens == null ? Math.clamp(room / 4, 1, 64) : textTokens;
    shared.require(
        context == 0 || (long) prompt + text <= context,
        Words.of(
            "--prompt-tokens %s and --text-tokens %s are more than the model's context of %s"
                + " together: lower one of them",
            prompt, text, context));
    return shared.checked(() -> new RequestMix.Shape(prompt, text, alike));
  }

  private void say(LoadClient.Model served, RequestMix.Shape shape) {
    shared
        .out()
        .println(
            Words.of(
                "%s: prompts of %d to %d tokens, completions of %d to %d; good: first chunk in %d ms, then %d ms per chunk",
                served.id(),
                Math.max(1, shape.promptTokens() / 16),
                shape.promptTokens(),
                Math.max(1, shape.textTokens() / 8),
                shape.textTokens(),
                firstMs,
                nextMs));
    shared.out().println(LoadResult.HEADER);
    shared.out().flush();
  }

  private void print(LoadResult result) throws IOException {
    shared
        .out()
        .println(shared.json() ? JsonMapper.shared().writeValueAsString(result) : result.toRow());
    shared.out().flush();
  }

  private void progress(String what) {
    shared.err().println(Words.of("%s, %.0f s ...", what, seconds));
  }
}
