package panamoe.engine.schedule;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import panamoe.backend.Backend;
import panamoe.data.Tokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.Generation;
import panamoe.engine.GenerationHandle;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationOutcome;
import panamoe.engine.GenerationRequest;
import panamoe.engine.Readout;
import panamoe.engine.routes.RouteStatistics;
import panamoe.engine.routes.RoutedLayer;
import panamoe.engine.routes.RoutingException;
import panamoe.engine.routes.SequenceRoutes;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.parallel.Ranks;

/**
 * Generates many sequences with one model, a step at a time (continuous batching), for {@code
 * generate}, {@code chat}, {@code serve} and the facade. A sequence's tokens and the bits of their
 * probabilities do not depend on other sequences in a step, nor on prefix sharing.
 *
 * <p>One thread drives it by {@link #step}; any thread may {@link #submit} and cancel.
 */
public final class Engine implements AutoCloseable {
  /** Code that uses an engine. */
  @FunctionalInterface
  public interface Body {
    void run(Engine engine) throws InterruptedException;
  }

  /** Most bytes of a step's logits that are read for log probabilities of prompts. */
  private static final int SCORED_BYTES = 64 << 20;

  private final Tokenizer tokenizer;
  private final StepRunner runner;
  private final Scheduler scheduler;
  private final StepPlan plan;
  private final StepPlan kind;
  private final StepPlan alone;
  private final Listeners listeners;
  private final OutputProcessor output;
  private final int vocabulary;
  private final Queue<Sequence> inbox = new ConcurrentLinkedQueue<>();
  private final Queue<CompletableFuture<RouteStatistics>> readers = new ConcurrentLinkedQueue<>();
  private final AtomicLong arrivals = new AtomicLong();
  private boolean closed;

  /**
   * @param model packed for inference
   * @throws IllegalArgumentException if it cannot generate
   */
  public Engine(Backend backend, LanguageModel model, Tokenizer tokenizer, EngineConfig config) {
    this(
        new ModelRunner(backend, model, config, model.config().window()),
        1,
        tokenizer,
        config,
        model.config().context(),
        model.config().vocabulary());
  }

  /**
   * Runs {@code body} with an engine on rank 0, over all ranks that hold a model. The other ranks
   * compute their part until {@code body} ends. All ranks call this at the same time.
   *
   * @param model this rank's part, packed for inference
   * @param config the same on all ranks
   */
  public static void onRanks(
      Backend backend, LanguageModel model, Tokenizer tokenizer, EngineConfig config, Body body)
      throws InterruptedException {
    Ranks ranks = model.parameters().ranks();
    if (ranks.world().size() == 1) {
      try (Engine engine = new Engine(backend, model, tokenizer, config)) {
        body.run(engine);
      }
      return;
    }
    RankedRunner runner = new RankedRunner(backend, model, config);
    if (!ranks.first()) {
      try (runner) {
        runner.follow();
      }
      return;
    }
    int data = ranks.topology().dataDegree();
    int context = model.config().context();
    int vocabulary = model.config().vocabulary();
    try (Engine engine = new Engine(runner, data, tokenizer, config, context, vocabulary)) {
      body.run(engine);
    }
  }

  /** An engine for one sequence at a time, as long as the model's context. */
  public static Engine forOne(Backend backend, LanguageModel model, Tokenizer tokenizer) {
    return new Engine(backend, model, tokenizer, EngineConfig.one(model.config().context()));
  }

  /**
   * @param ranks data ranks of the runner. The engine closes the runner
   */
  Engine(
      StepRunner runner,
      int ranks,
      Tokenizer tokenizer,
      EngineConfig config,
      int context,
      int vocabulary) {
    this.tokenizer = tokenizer;
    this.runner = runner;
    // With an encoder a prefix's keys and values depend on the whole prompt: nothing is shared.
    boolean goesOn = runner.startToken() == StepRunner.GOES_ON;
    EngineConfig shared = goesOn ? config : config.withoutSharing();
    int scored = Math.max(1, SCORED_BYTES / (vocabulary * Float.BYTES));
    this.scheduler = new Scheduler(shared, ranks, context, scored, runner.window());
    this.plan = new StepPlan(ranks, config.stepTokens());
    this.kind = new StepPlan(ranks, config.stepTokens());
    this.alone = new StepPlan(ranks, config.stepTokens());
    this.vocabulary = Math.min(vocabulary, tokenizer.vocabularySize());
    this.listeners = new Listeners(scheduler);
    this.output = new OutputProcessor(runner, scheduler, listeners, tokenizer, context);
  }

  /**
   * Submits a request.
   *
   * @throws IllegalArgumentException if it can never run: its prompt exceeds the context, a token
   *     is outside the vocabulary, the cache is too small, or the model cannot route that way or
   *     writes no text
   */
  public GenerationHandle submit(GenerationRequest request, GenerationListener listener) {
    int[] prompt = request.prompt();
    int[] source = source(prompt);
    Require.that(
        request.readout() == null || source == null,
        "the model has an encoder, so that no rows of a prompt can be read");
    if (request.readout() == null || request.readout() == Readout.LOGPROBS) {
      runner.requireGeneration();
    }
    scheduler.requirePrompt((source == null ? prompt : source).length);
    scheduler.requireFits(source == null ? prompt.length : 1, request.stop().maxTokens());
    request.sampling().requireFits(vocabulary);
    List<RoutedLayer> own = runner.layers();
    List<RoutedLayer> layers = request.routing().of(own);
    for (int token : prompt) {
      requireToken("the prompt has token ", token);
    }
    request.stop().tokens().forEach(token -> requireToken("a stop is token ", token));
    Detokenizer text = new Detokenizer(tokenizer, request.stop().texts(), listener);
    int[] topK = layers.equals(own) ? null : layers.stream().mapToInt(RoutedLayer::topK).toArray();
    Sequence sequence =
        new Sequence(
            request,
            listener,
            text,
            arrivals.getAndIncrement(),
            layers,
            topK,
            source,
            runner.startToken());
    sequence.adapter = adapter(request.terms().adapter());
    if (listeners.records()
        && source == null
        && topK == null
        && !sequence.readsRows()
        && sequence.adapter == 0) {
      sequence.rows = new ArrayList<>();
    }
    inbox.add(sequence);
    return sequence;
  }

  /**
   * Records the routes of every sequence that is submitted from now on, of its prompt and its
   * completion, also of rows that a shared prefix has from another sequence. Not recorded: a
   * sequence that limits its own top-k or has an adapter, whose context slid, that only reads
   * hidden states or logits, or that failed.
   *
   * @param recorder gets a sequence's routes at its end, on the engine's thread
   * @throws RoutingException if the model has no MoE layers, or an encoder
   */
  public void record(Consumer<SequenceRoutes> recorder) {
    if (runner.layers().isEmpty() || runner.startToken() != StepRunner.GOES_ON) {
      throw new RoutingException(
          "the model has %s: there are no routes to record",
          runner.layers().isEmpty() ? "no MoE layers" : "an encoder");
    }
    listeners.record(recorder);
  }

  /** The adapter's index, from 1; 0 for none. */
  private int adapter(String name) {
    List<String> names = runner.adapters();
    Require.that(
        name.isEmpty() || names.contains(name),
        "there is no adapter %s; the model has %s",
        name,
        names.isEmpty() ? "none" : String.join(", ", names));
    return names.indexOf(name) + 1;
  }

  /** What an encoder reads: the prompt and the end-of-text token; null without an encoder. */
  private int[] source(int[] prompt) {
    if (runner.startToken() == StepRunner.GOES_ON) {
      return null;
    }
    if (prompt[prompt.length - 1] == tokenizer.endOfText()) {
      return prompt;
    }
    int[] ended = Arrays.copyOf(prompt, prompt.length + 1);
    ended[prompt.length] = tokenizer.endOfText();
    return ended;
  }

  private void requireToken(String which, int token) {
    if (token < 0 || token >= vocabulary) {
      throw new IllegalArgumentException(
          which + token + ", which is none of 0 to " + (vocabulary - 1));
    }
  }

  /**
   * Runs one request to its end, in steps with all other submitted requests.
   *
   * @param onText receives the text piece by piece; an exception that it throws ends the sequence
   *     and reaches the caller
   */
  public Generation run(GenerationRequest request, Consumer<String> onText) {
    return run(
        request,
        new GenerationOutcome() {
          @Override
          public void wrote(String piece) {
            onText.accept(piece);
          }
        });
  }

  /** Runs a single request to its end. */
  public Generation run(GenerationRequest request, GenerationOutcome outcome) {
    submit(request, outcome);
    while (!outcome.over()) {
      step();
    }
    return outcome.generation();
  }

  /**
   * The routes of all rows computed so far, completed before the next step. Any thread may ask; if
   * the engine closes first, the future fails with an IllegalStateException.
   */
  public CompletableFuture<RouteStatistics> routeStatistics() {
    CompletableFuture<RouteStatistics> reader = new CompletableFuture<>();
    readers.add(reader);
    return reader;
  }

  /** Sends the other ranks, every few seconds, a sign that this rank is alive but idle. */
  public void idle() {
    runner.idle();
  }

  /**
   * Computes the next step and calls listeners.
   *
   * @return whether work is left
   */
  public boolean step() {
    boolean more = stepQuietly();
    RuntimeException failure = listeners.takeFailure();
    if (failure != null) {
      throw failure;
    }
    return more;
  }

  /** Like {@link #step}, but a listener's exception only ends its own sequence. */
  boolean stepQuietly() {
    takeSubmitted();
    endUnwanted();
    try {
      tellReaders();
      scheduler.plan(plan);
      if (!plan.parts().isEmpty()) {
        compute();
      }
    } catch (RuntimeException e) {
      failAll(e);
      throw e;
    }
    return !scheduler.idle() || !inbox.isEmpty();
  }

  /** Whether something was asked since the last step. */
  boolean asked() {
    return !inbox.isEmpty() || !readers.isEmpty();
  }

  /** The latest step and the work that is left. */
  EngineThread.Status status() {
    int rows = 0;
    for (int rank = 0; rank < plan.ranks(); rank++) {
      rows += plan.rank(rank).count;
    }
    return new EngineThread.Status(
        scheduler.running(), scheduler.waiting(), rows, usage(), interruptions());
  }

  /** The part of the cache that running sequences use, 0 to 1. */
  public double usage() {
    return scheduler.usage();
  }

  /** Blocks of layers with a window that running sequences use. */
  int windowBlocks() {
    return scheduler.windowBlocks();
  }

  /** How often a sequence was preempted and its tokens computed again. */
  public long interruptions() {
    return scheduler.interruptions();
  }

  private void tellReaders() {
    if (readers.isEmpty()) {
      return;
    }
    RouteStatistics now = runner.statistics();
    for (var next = readers.poll(); next != null; next = readers.poll()) {
      next.complete(now);
    }
  }

  private void takeSubmitted() {
    for (Sequence next = inbox.poll(); next != null; next = inbox.poll()) {
      scheduler.add(next);
      if (next.request.stop().maxTokens() == 0 && next.reading == null) {
        listeners.end(next, Generation.End.LENGTH);
      }
    }
  }

  private void endUnwanted() {
    long now = System.nanoTime();
    for (Sequence sequence : scheduler.all(each -> each.cancelled || each.late(now))) {
      listeners.end(
          sequence, sequence.cancelled ? Generation.End.CANCELLED : Generation.End.DEADLINE);
    }
  }

  /** Computes the planned step, in as many passes as it needs. */
  private void compute() {
    if (plan.uniform()) {
      compute(plan);
      return;
    }
    for (StepPlan.Part each : plan.kinds()) {
      kind.take(each, plan);
      compute(kind);
    }
  }

  private void compute(StepPlan step) {
    StepEvent event = step.decodes() ? new DecodeEvent() : new PrefillEvent();
    event.begin(step, scheduler);
    try {
      runner.run(step);
    } catch (RuntimeException e) {
      if (!runner.recovers()) {
        throw e;
      }
      computeApart(step, e);
      return;
    }
    output.goOn(step.parts());
    event.commit();
  }

  /** After a failed step, computes each sequence alone, so that only the failing one fails. */
  private void computeApart(StepPlan step, RuntimeException failure) {
    List<StepPlan.Part> parts = List.copyOf(step.parts());
    for (StepPlan.Part part : parts) {
      if (!part.sequence().running()) {
        continue; // its listener threw
      }
      alone.clear();
      alone.add(part.sequence(), part.count(), part.guesses());
      try {
        if (parts.size() == 1) {
          throw failure;
        }
        runner.run(alone);
      } catch (RuntimeException e) {
        listeners.fail(part.sequence(), runner.withLayer(part.sequence(), e));
        continue;
      }
      output.goOn(alone.parts());
    }
  }

  private void failAll(RuntimeException failure) {
    takeSubmitted();
    scheduler.all(_ -> true).forEach(sequence -> listeners.fail(sequence, failure));
  }

  /** Cancels all sequences and frees the cache. Idempotent. */
  @Override
  public void close() {
    takeSubmitted();
    scheduler.all(_ -> true).forEach(sequence -> listeners.end(sequence, Generation.End.CANCELLED));
    for (var next = readers.poll(); next != null; next = readers.poll()) {
      next.completeExceptionally(new IllegalStateException("the engine is closed"));
    }
    if (!closed) {
      closed = true;
      output.close();
      runner.close();
    }
  }
}
