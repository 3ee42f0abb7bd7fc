package panamoe.engine;

import java.util.BitSet;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import panamoe.backend.Backend;
import panamoe.data.Tokenizer;
import panamoe.model.LanguageModel;
import panamoe.parallel.Ranks;

/**
 * Writes many texts at once with one model, a step at a time: what {@code generate}, {@code chat},
 * {@code serve} and the facade do. A text's tokens, and the bits of their probabilities, are the
 * same alone and among others, whatever runs beside it and whatever it shares with earlier ones.
 *
 * <p>One thread drives it by {@link #step}; any thread may {@link #submit} and cancel.
 */
public final class Engine implements AutoCloseable {
  /** What is done with an engine. */
  @FunctionalInterface
  public interface Body {
    void run(Engine engine) throws InterruptedException;
  }

  private final Tokenizer tokenizer;
  private final StepRunner runner;
  private final Scheduler scheduler;
  private final StepPlan plan;
  private final StepPlan kind;
  private final StepPlan alone;
  private final Sampler sampler;
  private final int context;
  private final int vocabulary;
  private final float[] logits;
  private final float[] raw;
  private final float[] routes;
  private final Queue<Sequence> inbox = new ConcurrentLinkedQueue<>();
  private final Queue<CompletableFuture<RouteStatistics>> readers = new ConcurrentLinkedQueue<>();
  private final AtomicLong arrivals = new AtomicLong();
  private RuntimeException listenerFailure;
  private boolean closed;

  /**
   * @param model packed for inference
   * @throws IllegalArgumentException if it cannot generate
   */
  public Engine(Backend backend, LanguageModel model, Tokenizer tokenizer, EngineConfig config) {
    this(
        new ModelRunner(backend, model, config),
        1,
        tokenizer,
        config,
        model.config().context(),
        model.config().vocabulary());
  }

  /**
   * Runs {@code body} with an engine over all ranks that hold a model: on rank 0. The others
   * compute for it until {@code body} ends. Every rank calls this at the same time.
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

  /** An engine for one text at a time, as long as the model's context. */
  public static Engine forOne(Backend backend, LanguageModel model, Tokenizer tokenizer) {
    return new Engine(backend, model, tokenizer, EngineConfig.one(model.config().context()));
  }

  /**
   * @param ranks data ranks of the runner, which this engine closes
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
    this.scheduler = new Scheduler(config, ranks, context);
    this.plan = new StepPlan(ranks, config.stepTokens());
    this.kind = new StepPlan(ranks, config.stepTokens());
    this.alone = new StepPlan(ranks, config.stepTokens());
    this.sampler = new Sampler(vocabulary);
    this.context = context;
    this.vocabulary = vocabulary;
    this.logits = new float[vocabulary];
    this.raw = new float[vocabulary];
    this.routes = new float[new RouteLayout(runner.layers()).width()];
  }

  /**
   * Asks for a text.
   *
   * @throws IllegalArgumentException if it can never be written: a prompt beyond the context, a
   *     token that the model does not have, more tokens than the cache, a routing that the model
   *     does not have
   */
  public GenerationHandle submit(GenerationRequest request, GenerationListener listener) {
    scheduler.requireFits(request);
    request.sampling().requireFits(vocabulary);
    List<RoutedLayer> own = runner.layers();
    List<RoutedLayer> layers = request.routing().of(own);
    for (int token : request.prompt()) {
      requireToken("the prompt has token ", token);
    }
    request.stop().tokens().forEach(token -> requireToken("a stop is token ", token));
    GeneratedText text = new GeneratedText(tokenizer, request.stop().texts(), listener::wrote);
    int[] topK = layers.equals(own) ? null : layers.stream().mapToInt(RoutedLayer::topK).toArray();
    Sequence sequence =
        new Sequence(request, listener, text, arrivals.getAndIncrement(), layers, topK);
    inbox.add(sequence);
    return sequence;
  }

  private void requireToken(String which, int token) {
    if (token < 0 || token >= vocabulary) {
      throw new IllegalArgumentException(
          which + token + ", which is none of 0 to " + (vocabulary - 1));
    }
  }

  /**
   * Writes one text to its end, beside whatever else was submitted.
   *
   * @param onText receives it piece by piece; an exception that it throws ends the text and reaches
   *     the caller
   */
  public Generation run(GenerationRequest request, Consumer<String> onText) {
    Generation[] result = new Generation[1];
    RuntimeException[] failure = new RuntimeException[1];
    submit(
        request,
        new GenerationListener() {
          @Override
          public void wrote(String piece) {
            onText.accept(piece);
          }

          @Override
          public void ended(Generation generation) {
            result[0] = generation;
          }

          @Override
          public void failed(RuntimeException cause) {
            failure[0] = cause;
          }
        });
    while (result[0] == null && failure[0] == null) {
      step();
    }
    if (failure[0] != null) {
      throw failure[0];
    }
    return result[0];
  }

  /**
   * The routes of all rows that were computed so far, told before the next step. Any thread may
   * ask; an engine that closes first answers with an IllegalStateException.
   */
  public CompletableFuture<RouteStatistics> routeStatistics() {
    CompletableFuture<RouteStatistics> reader = new CompletableFuture<>();
    readers.add(reader);
    return reader;
  }

  /** Says that there is nothing to compute for now, every few seconds: other ranks wait for it. */
  public void idle() {
    runner.idle();
  }

  /**
   * Computes the next step and tells listeners of it.
   *
   * @return whether anything is left to compute
   */
  public boolean step() {
    boolean more = stepQuietly();
    RuntimeException failure = listenerFailure;
    listenerFailure = null;
    if (failure != null) {
      throw failure;
    }
    return more;
  }

  /** As {@link #step}, which a listener's exception does not reach: it ended its text alone. */
  boolean stepQuietly() {
    takeSubmitted();
    endUnwanted();
    tellReaders();
    scheduler.plan(plan);
    if (!plan.parts().isEmpty()) {
      compute();
    }
    return !scheduler.idle() || !inbox.isEmpty();
  }

  /** What it did in its latest step, and what is left. */
  EngineThread.Status status() {
    int rows = 0;
    for (int rank = 0; rank < plan.ranks(); rank++) {
      rows += plan.rank(rank).count;
    }
    return new EngineThread.Status(
        scheduler.running(), scheduler.waiting(), rows, usage(), interruptions());
  }

  /** The part of the cache that running texts use, 0 to 1. */
  public double usage() {
    return scheduler.usage();
  }

  /** How often a text had to make room for another one, and its tokens were computed again. */
  public long interruptions() {
    return scheduler.interruptions();
  }

  private void tellReaders() {
    if (readers.isEmpty()) {
      return;
    }
    try {
      RouteStatistics now = runner.statistics();
      for (var next = readers.poll(); next != null; next = readers.poll()) {
        next.complete(now);
      }
    } catch (RuntimeException e) {
      failAll(e);
      throw e;
    }
  }

  private void takeSubmitted() {
    for (Sequence next = inbox.poll(); next != null; next = inbox.poll()) {
      scheduler.add(next);
      if (next.request.stop().maxTokens() == 0) {
        end(next, Generation.End.LENGTH);
      }
    }
  }

  private void endUnwanted() {
    long now = System.nanoTime();
    for (Sequence sequence : scheduler.all()) {
      long deadline = sequence.request.terms().deadline();
      if (sequence.cancelled) {
        end(sequence, Generation.End.CANCELLED);
      } else if (deadline != GenerationRequest.Terms.NEVER && deadline - now <= 0) {
        end(sequence, Generation.End.DEADLINE);
      }
    }
  }

  /** Computes the planned step, its texts of each top-k one after the other. */
  private void compute() {
    List<StepPlan.Part> kinds = plan.kinds();
    if (kinds.size() == 1) {
      compute(plan);
      return;
    }
    for (StepPlan.Part each : kinds) {
      kind.take(each, plan);
      compute(kind);
    }
  }

  private void compute(StepPlan step) {
    try {
      runner.run(step);
    } catch (RuntimeException e) {
      if (!runner.recovers()) {
        failAll(e);
        throw e;
      }
      computeApart(step, e);
      return;
    }
    step.parts().forEach(this::goOn);
  }

  /** A step failed: each sequence is computed alone, and fails alone. */
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
        fail(part.sequence(), withLayer(part.sequence(), e));
        continue;
      }
      goOn(alone.parts().getFirst());
    }
  }

  /**
   * Draws a sequence's next token, if its last one was computed, and more as long as it guessed.
   */
  private void goOn(StepPlan.Part part) {
    Sequence sequence = part.sequence();
    int sure = part.count() - part.guesses();
    int last = part.row() + sure - 1;
    computed(sequence, part.row(), sure);
    if (part.wanted() < 0) {
      return;
    }
    for (int guess = 0; guess < part.guesses(); guess++) {
      int guessed = sequence.tokens[sequence.length];
      if (draw(sequence, last + guess, part.wanted() + guess) != guessed) {
        return;
      }
      computed(sequence, last + guess + 1, 1);
    }
    draw(sequence, last + part.guesses(), part.wanted() + part.guesses());
  }

  /** The next {@code count} tokens of a sequence were computed, in rows from {@code row} on. */
  private void computed(Sequence sequence, int row, int count) {
    int position = sequence.computed;
    scheduler.computed(sequence, count);
    if (sequence.counts == null) {
      return;
    }
    while (sequence.counted < sequence.computed) { // not what is computed again
      int ahead = Math.max(0, sequence.counted - position);
      sequence.counted = position + ahead + 1;
      runner.routes(sequence.rank, row + ahead, routes);
      sequence.counts.add(sequence.routes, routes);
    }
  }

  /**
   * Draws a sequence's next token.
   *
   * @param row of its last one
   * @param wanted the number of the row of its last one among those whose logits were asked for
   * @return the token; -1 if the sequence does not go on
   */
  private int draw(Sequence sequence, int row, int wanted) {
    GenerationRequest request = sequence.request;
    StopConfig stop = request.stop();
    runner.logits(sequence.rank, wanted, logits);
    if (!finite(logits)) {
      fail(
          sequence,
          withLayer(sequence, LanguageModel.notFinite(" after " + sequence.length + " tokens")));
      return -1;
    }
    if (request.logprobs() >= 0) {
      System.arraycopy(logits, 0, raw, 0, vocabulary);
    }
    if (sequence.constraint == null && sequence.written < stop.minTokens()) {
      stop.tokens().forEach(token -> logits[token] = Float.NEGATIVE_INFINITY);
      if (!stop.ignoreEndOfText()) {
        logits[tokenizer.endOfText()] = Float.NEGATIVE_INFINITY;
      }
    }
    int token;
    try {
      if (sequence.constraint != null) {
        keep(logits, sequence.constraint.allowed());
      }
      token = sampler.next(logits, sequence.sampler);
      if (sequence.constraint != null && token != tokenizer.endOfText()) {
        sequence.constraint.accept(token);
      }
    } catch (RuntimeException e) {
      fail(sequence, e);
      return -1;
    } catch (StackOverflowError e) {
      fail(sequence, new IllegalArgumentException("the text's constraint is nested too deeply", e));
      return -1;
    }
    if (sequence.first == 0) {
      sequence.first = System.nanoTime();
    }
    if (token == tokenizer.endOfText() && !stop.ignoreEndOfText()) {
      end(sequence, Generation.End.END_OF_TEXT);
      return -1;
    }
    if (stop.tokens().contains(token)) {
      end(sequence, Generation.End.STOP);
      return -1;
    }
    sequence.sampler.wrote(token);
    sequence.append(token);
    sequence.written++;
    TokenLogprobs logprobs =
        request.logprobs() < 0 ? null : TokenLogprobs.of(raw, token, request.logprobs());
    int[] experts = null;
    if (request.routing().tokens()) {
      runner.routes(sequence.rank, row, routes);
      experts = sequence.routes.best(routes);
    }
    int[] told = experts;
    boolean[] stopped = new boolean[1];
    if (!tell(
        sequence,
        () -> {
          sequence.listener.drew(token, logprobs, told);
          stopped[0] = sequence.text.append(token);
        })) {
      return -1;
    }
    if (stopped[0]) {
      end(sequence, Generation.End.STOP);
    } else if (sequence.written == stop.maxTokens()
        || sequence.length >= context && !stop.slide()) {
      end(sequence, Generation.End.LENGTH);
    } else if (sequence.length > context) {
      scheduler.slide(sequence, context / 2 + 1);
    }
    return sequence.running() ? token : -1;
  }

  /** Leaves only allowed tokens. */
  private static void keep(float[] logits, BitSet allowed) {
    for (int token = 0; token < logits.length; token++) {
      if (!allowed.get(token)) {
        logits[token] = Float.NEGATIVE_INFINITY;
      }
    }
  }

  private static boolean finite(float[] logits) {
    for (float logit : logits) {
      if (!Float.isFinite(logit)) {
        return false;
      }
    }
    return true;
  }

  /** A text's failure; with the layer where its numbers went wrong, if that is the reason. */
  private RuntimeException withLayer(Sequence sequence, RuntimeException failure) {
    try {
      int layer = runner.firstNonFiniteLayer(sequence.tokens, sequence.length, sequence.topK);
      if (layer >= 0) {
        RuntimeException named =
            LanguageModel.notFinite(" in layer " + layer + " after " + sequence.length + " tokens");
        named.addSuppressed(failure);
        return named;
      }
    } catch (RuntimeException | OutOfMemoryError e) {
      failure.addSuppressed(e); // what can be told is told
    }
    return failure;
  }

  private void end(Sequence sequence, Generation.End end) {
    scheduler.end(sequence);
    tell(
        sequence,
        () -> {
          sequence.text.finish();
          sequence.listener.ended(
              new Generation(
                  sequence.text.toString(),
                  end,
                  sequence.written,
                  sequence.request.prompt().length,
                  Math.max(0, sequence.shared),
                  new Generation.Times(
                      sequence.submitted, sequence.started, sequence.first, System.nanoTime()),
                  sequence.counts == null ? null : sequence.counts.statistics()));
        });
  }

  private void failAll(RuntimeException failure) {
    takeSubmitted();
    scheduler.all().forEach(sequence -> fail(sequence, failure));
  }

  private void fail(Sequence sequence, RuntimeException failure) {
    scheduler.end(sequence);
    tell(sequence, () -> sequence.listener.failed(failure));
  }

  /**
   * Tells a listener; if it throws, its sequence ends, and {@link #step} throws it when the step is
   * done.
   */
  private boolean tell(Sequence sequence, Runnable telling) {
    try {
      telling.run();
      return true;
    } catch (RuntimeException e) {
      if (listenerFailure == null) {
        listenerFailure = e;
      }
      if (sequence.running()) {
        scheduler.end(sequence);
      }
      return false;
    }
  }

  /** Ends all texts as cancelled, and frees the cache. Idempotent. */
  @Override
  public void close() {
    takeSubmitted();
    scheduler.all().forEach(sequence -> end(sequence, Generation.End.CANCELLED));
    for (var next = readers.poll(); next != null; next = readers.poll()) {
      next.completeExceptionally(new IllegalStateException("the engine is closed"));
    }
    if (!closed) {
      closed = true;
      runner.close();
    }
  }
}
