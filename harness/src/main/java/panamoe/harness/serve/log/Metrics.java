package panamoe.harness.serve.log;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.prometheus.metrics.instrumentation.jvm.JvmMetrics;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;
import java.util.stream.DoubleStream;
import java.util.stream.LongStream;
import panamoe.engine.Generation;
import panamoe.engine.routes.RouteStatistics;
import panamoe.engine.schedule.EngineThread.Status;
import panamoe.param.ExpertCache;
import panamoe.param.ExpertCacheStatistics;

/** The metrics of a server in Prometheus's format, with vLLM's names. Thread-safe. */
public final class Metrics {
  private static final String PREFIX = "panamoe.";

  /** Maximum number of time series for experts. */
  private static final int MOST_EXPERTS = 512;

  private static final double[] SIZES =
      DoubleStream.iterate(1, size -> 2 * size).limit(18).toArray();

  /** From a millisecond to about four minutes. */
  private static final Duration[] TIMES =
      LongStream.iterate(1, millis -> 2 * millis)
          .limit(19)
          .mapToObj(Duration::ofMillis)
          .toArray(Duration[]::new);

  private final PrometheusMeterRegistry registry =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final AtomicReference<Status> status = new AtomicReference<>(new Status(0, 0, 0, 0, 0));
  private final AtomicReference<RouteStatistics> routes =
      new AtomicReference<>(RouteStatistics.NONE);
  private final Counter promptTokens = counter("prompt.tokens", "Tokens of prompts");
  private final Counter generationTokens = counter("generation.tokens", "Tokens generated");
  private final Counter prefixQueries =
      counter("prefix.cache.queries", "Tokens of prompts that were looked for in the cache");
  private final Counter prefixHits =
      counter("prefix.cache.hits", "Tokens of prompts that were found in the cache");
  private final Timer firstToken = timer("time.to.first.token", "From request to first token");
  private final Timer betweenTokens = timer("inter.token.latency", "From a token to the next");
  private final Timer whole = timer("e2e.request.latency", "From request to last token");
  private final Timer queued = timer("request.queue.time", "From request to start");
  private final Timer prefill = timer("request.prefill.time", "From start to first token");
  private final Timer decode = timer("request.decode.time", "From first token to last");
  private final DistributionSummary requestPrompt =
      summary("request.prompt.tokens", "Tokens of a prompt");
  private final DistributionSummary requestGeneration =
      summary("request.generation.tokens", "Tokens of a completion");
  private final DistributionSummary stepTokens =
      summary("iteration.tokens", "Tokens that a step computed");

  private final Counter logFailures =
      counter("request.log.failures", "Texts that could not be logged");
  private final Counter accessLogFailures =
      counter("access.log.failures", "Requests that the access log lacks");

  /**
   * @param build what runs, as labels and their values
   */
  public Metrics(Map<String, String> build) {
    JvmMetrics.builder().register(registry.getPrometheusRegistry());
    String usage = "Part of the key/value cache that sequences use, 0 to 1";
    gauge("num.requests.running", "Texts that are computed", Status::running);
    gauge("num.requests.waiting", "Texts that wait for room", Status::waiting);
    gauge("kv.cache.usage.perc", usage, Status::usage);
    FunctionCounter.builder(
            PREFIX + "num.preemptions", status, latest -> latest.get().interruptions())
        .description("Preemptions of sequences")
        .register(registry);
    Tags labels = Tags.empty();
    for (Map.Entry<String, String> label : build.entrySet()) {
      labels = labels.and(label.getKey(), label.getValue());
    }
    Gauge.builder(PREFIX + "build.info", () -> 1)
        .description("What runs")
        .tags(labels)
        .register(registry);
  }

  private void gauge(String name, String what, ToDoubleFunction<Status> value) {
    Gauge.builder(PREFIX + name, status, latest -> value.applyAsDouble(latest.get()))
        .description(what)
        .register(registry);
  }

  private Counter counter(String name, String what, String... tags) {
    return Counter.builder(PREFIX + name).description(what).tags(tags).register(registry);
  }

  private Timer timer(String name, String what) {
    return Timer.builder(PREFIX + name)
        .description(what)
        .serviceLevelObjectives(TIMES)
        .register(registry);
  }

  private DistributionSummary summary(String name, String what) {
    return DistributionSummary.builder(PREFIX + name)
        .description(what)
        .serviceLevelObjectives(SIZES)
        .register(registry);
  }

  /** The engine has computed a step. */
  public void stepped(Status now) {
    status.set(now);
    if (now.rows() > 0) {
      stepTokens.record(now.rows());
    }
  }

  /** Expert counts so far. Models with more experts report no single ones. */
  public void routed(RouteStatistics now) {
    List<RouteStatistics.Layer> layers = now.layers();
    boolean reported =
        layers.stream().mapToInt(RouteStatistics.Layer::experts).sum() <= MOST_EXPERTS;
    if (reported && routes.getAndSet(now).layers().isEmpty()) {
      for (int i = 0; i < layers.size(); i++) {
        for (int e = 0; e < layers.get(i).experts(); e++) {
          registerExpert(i, layers.get(i).layer(), e);
        }
      }
    }
  }

  private void registerExpert(int i, int layer, int expert) {
    FunctionCounter.builder(
            PREFIX + "moe.expert.tokens",
            routes,
            latest -> latest.get().layers().get(i).tokens()[expert])
        .description("Rows that chose an expert")
        .tags("layer", Integer.toString(layer), "expert", Integer.toString(expert))
        .register(registry);
  }

  /** The model reads experts from the disk. */
  public void reads(ExpertCache cache) {
    read(cache, "uses", "Experts that steps needed", now -> now.uses().count());
    read(cache, "hits", "Experts that steps needed and memory had", now -> now.uses().hits());
    read(cache, "read.bytes", "Bytes read of experts", now -> now.reads().bytes());
    Gauge.builder(
            PREFIX + "expert.cache.most.tokens.per.second",
            cache,
            c -> c.statistics().mostTokensPerSecond())
        .description("Written tokens a second that reading experts alone would allow")
        .register(registry);
  }

  private void read(
      ExpertCache cache, String name, String what, ToDoubleFunction<ExpertCacheStatistics> value) {
    FunctionCounter.builder(
            PREFIX + "expert.cache." + name, cache, c -> value.applyAsDouble(c.statistics()))
        .description(what)
        .register(registry);
  }

  public void token() {
    generationTokens.increment();
  }

  /** Time since the previous token of a sequence. */
  public void tokenAfter(long nanos) {
    betweenTokens.record(nanos, TimeUnit.NANOSECONDS);
  }

  /**
   * A sequence has ended.
   *
   * @param first whether it is the first choice of its prompt
   */
  public void ended(Generation text, boolean first) {
    if (first) {
      promptTokens.increment(text.promptTokens());
    }
    prefixQueries.increment(text.promptTokens());
    prefixHits.increment(text.sharedTokens());
    requestPrompt.record(text.promptTokens());
    requestGeneration.record(text.tokens());
    Generation.Times times = text.times();
    whole.record(times.ended() - times.submitted(), TimeUnit.NANOSECONDS);
    if (times.started() != 0) {
      queued.record(times.started() - times.submitted(), TimeUnit.NANOSECONDS);
    }
    if (times.first() != 0) {
      firstToken.record(times.first() - times.submitted(), TimeUnit.NANOSECONDS);
      prefill.record(times.first() - times.started(), TimeUnit.NANOSECONDS);
      decode.record(times.ended() - times.first(), TimeUnit.NANOSECONDS);
    }
    finished(
        switch (text.end()) {
          case END_OF_TEXT, STOP -> "stop";
          case CANCELLED -> "abort";
          case LENGTH, DEADLINE -> text.end().name().toLowerCase(Locale.ROOT);
        });
  }

  public void failed() {
    finished("error");
  }

  private void finished(String reason) {
    counter("request.success", "Texts that ended", "finished_reason", reason).increment();
  }

  /** A request was refused because of the server's state. */
  public void refused(String reason) {
    counter("admission.rejections", "Requests that were turned away", "reason", reason).increment();
  }

  /** A request was cancelled before its end. */
  public void cancelled(String reason) {
    counter("request.cancellations", "Requests that were cut off", "reason", reason).increment();
  }

  /**
   * A request was answered.
   *
   * @param route its path without names that a client chose
   */
  public void answered(String route, int status) {
    counter("http.requests", "Requests", "route", route, "status", Integer.toString(status))
        .increment();
  }

  /**
   * The server has a certificate.
   *
   * @param end gives its end
   */
  public void ends(Supplier<Instant> end) {
    Gauge.builder(
            PREFIX + "tls.certificate.end.timestamp.seconds", () -> end.get().getEpochSecond())
        .description("When the certificate ends")
        .register(registry);
  }

  /** A request could not be logged. */
  void requestUnlogged() {
    accessLogFailures.increment();
  }

  /** A completion could not be logged. */
  void unlogged() {
    logFailures.increment();
  }

  /** All metrics in the format of an {@code Accept} header. */
  public String scrape(String contentType) {
    return registry.scrape(contentType);
  }
}
