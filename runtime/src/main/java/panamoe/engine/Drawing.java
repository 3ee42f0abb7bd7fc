package panamoe.engine;

import java.util.BitSet;
import panamoe.data.Tokenizer;
import panamoe.model.LanguageModel;

/**
 * Goes on with sequences whose tokens a step computed: draws their next tokens, adds them to their
 * texts, and ends texts that are complete. Used by the engine's thread.
 */
final class Drawing {
  private final StepRunner runner;
  private final Scheduler scheduler;
  private final Listeners listeners;
  private final Tokenizer tokenizer;
  private final Sampler sampler;
  private final int context;
  private final int vocabulary;
  private final float[] logits;
  private final float[] raw;
  private final float[] routes;

  Drawing(
      StepRunner runner,
      Scheduler scheduler,
      Listeners listeners,
      Tokenizer tokenizer,
      int context,
      int vocabulary) {
    this.runner = runner;
    this.scheduler = scheduler;
    this.listeners = listeners;
    this.tokenizer = tokenizer;
    this.sampler = new Sampler(vocabulary);
    this.context = context;
    this.vocabulary = vocabulary;
    this.logits = new float[vocabulary];
    this.raw = new float[vocabulary];
    this.routes = new float[new RouteLayout(runner.layers()).width()];
  }

  /**
   * Draws a sequence's next token, if its last one was computed, and more as long as it guessed.
   */
  void goOn(StepPlan.Part part) {
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
      listeners.fail(
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
      listeners.fail(sequence, e);
      return -1;
    } catch (StackOverflowError e) {
      listeners.fail(
          sequence, new IllegalArgumentException("the text's constraint is nested too deeply", e));
      return -1;
    }
    return write(sequence, row, token);
  }

  /** Adds a token that was drawn, and ends the text if it is the last one. */
  private int write(Sequence sequence, int row, int token) {
    GenerationRequest request = sequence.request;
    StopConfig stop = request.stop();
    if (sequence.first == 0) {
      sequence.first = System.nanoTime();
    }
    if (token == tokenizer.endOfText() && !stop.ignoreEndOfText()) {
      listeners.end(sequence, Generation.End.END_OF_TEXT);
      return -1;
    }
    if (stop.tokens().contains(token)) {
      listeners.end(sequence, Generation.End.STOP);
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
    if (!listeners.tell(
        sequence,
        () -> {
          sequence.listener.drew(token, logprobs, told);
          stopped[0] = sequence.text.append(token);
        })) {
      return -1;
    }
    if (stopped[0]) {
      listeners.end(sequence, Generation.End.STOP);
    } else if (sequence.written == stop.maxTokens()
        || sequence.length >= context && !stop.slide()) {
      listeners.end(sequence, Generation.End.LENGTH);
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
  RuntimeException withLayer(Sequence sequence, RuntimeException failure) {
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
}
