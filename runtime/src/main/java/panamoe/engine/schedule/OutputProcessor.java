package panamoe.engine.schedule;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import panamoe.data.Tokenizer;
import panamoe.engine.Generation;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.routes.RouteLayout;
import panamoe.engine.sample.Sampler;
import panamoe.engine.sample.TokenLogprobs;
import panamoe.op.NotFinite;

/**
 * Processes the sequences of a computed step: samples their next tokens, appends them, and ends
 * sequences that are complete. Used by the engine's thread.
 */
final class OutputProcessor implements AutoCloseable {
  private final StepRunner runner;
  private final Scheduler scheduler;
  private final Listeners listeners;
  private final Tokenizer tokenizer;
  private final PromptOutput prompts;
  private final Sampler sampler;
  private final int context;
  private final float[] routes;
  // The parts of the step whose next token is to be sampled.
  private final List<StepPlan.Part> sampling = new ArrayList<>();

  OutputProcessor(
      StepRunner runner,
      Scheduler scheduler,
      Listeners listeners,
      Tokenizer tokenizer,
      int context) {
    this.runner = runner;
    this.scheduler = scheduler;
    this.listeners = listeners;
    this.tokenizer = tokenizer;
    this.prompts = new PromptOutput(runner, listeners);
    this.sampler = new Sampler(runner.backend());
    this.context = context;
    this.routes = new float[new RouteLayout(runner.layers()).width()];
  }

  /**
   * Samples the next token of each sequence whose last token was computed. Sequences with correct
   * guesses get further tokens. Each round samples for all sequences at once.
   */
  void goOn(List<StepPlan.Part> parts) {
    sampling.clear();
    for (StepPlan.Part part : parts) {
      computed(part.sequence(), part.row(), part.count() - part.guesses());
      if (part.sequence().scores()) {
        StepPlan.Part rest = prompts.score(part);
        if (rest != null) {
          sampling.add(rest);
        }
      } else if (part.sequence().reading != null) {
        prompts.read(part);
      } else if (part.wanted() >= 0) {
        sampling.add(part);
      }
    }
    for (int guess = 0; !sampling.isEmpty(); guess++) {
      sample(guess);
    }
  }

  /** Samples the token after {@code guess} guesses, and keeps the parts that guessed it. */
  private void sample(int guess) {
    sampler.take(runner.output());
    sampling.removeIf(part -> !ask(part.sequence(), part.wanted() + guess));
    if (!sampling.isEmpty()) {
      sampler.sample();
      sampling.removeIf(part -> !guessed(part, guess));
    }
  }

  /** Marks the next {@code count} tokens of a sequence, from {@code row} on, as computed. */
  private void computed(Sequence sequence, int row, int count) {
    int position = sequence.computed;
    for (int i = 0; sequence.rows != null && i < count; i++) {
      if (position + i == sequence.rows.size()) { // not one that is computed again
        sequence.rows.add(new float[routes.length]);
        runner.routes(sequence.rank, row + i, sequence.rows.getLast());
      }
    }
    scheduler.computed(sequence, count);
    if (sequence.counts == null) {
      return;
    }
    while (sequence.counted < sequence.computed) { // without rows that were computed before
      int ahead = Math.max(0, sequence.counted - position);
      sequence.counted = position + ahead + 1;
      runner.routes(sequence.rank, row + ahead, routes);
      sequence.counts.add(sequence.routes, routes);
    }
  }

  /**
   * Asks for a sequence's next token.
   *
   * @param wanted index of its last token's row among the wanted rows
   * @return false if the sequence fails
   */
  private boolean ask(Sequence sequence, int wanted) {
    StopConfig stop = sequence.request.stop();
    int row = runner.row(sequence.rank, wanted);
    sequence.logitsRow = row;
    if (sequence.request.logprobs() >= 0) {
      int vocabulary = (int) runner.output().size(1);
      sequence.logits = sequence.logits == null ? new float[vocabulary] : sequence.logits;
      MemorySegment.copy(
          sampler.row(row), ValueLayout.JAVA_FLOAT, 0, sequence.logits, 0, vocabulary);
    }
    sampler.ask(row, sequence.sampler);
    for (int token = tokenizer.vocabularySize(); token < runner.output().size(1); token++) {
      never(sampler.change(row), token); // the head's padding rows, which are not tokens
    }
    if (sequence.constraint != null) {
      return constrain(sequence, () -> keep(sampler.change(row), sequence.constraint.allowed()));
    }
    if (sequence.written < stop.minTokens()) {
      stop.tokens().forEach(token -> never(sampler.change(row), token));
      if (!stop.ignoreEndOfText()) {
        for (int end : tokenizer.ends()) {
          never(sampler.change(row), end);
        }
      }
    }
    return true;
  }

  /**
   * Continues a sequence with its sampled token.
   *
   * @return whether the sequence had guessed it
   */
  private boolean guessed(StepPlan.Part part, int guess) {
    Sequence sequence = part.sequence();
    int row = part.row() + part.count() - part.guesses() - 1 + guess;
    boolean more = guess < part.guesses();
    int guessed = more ? sequence.tokens[sequence.length] : -1;
    if (accept(sequence, row) != guessed || !more) {
      return false;
    }
    computed(sequence, row + 1, 1);
    return true;
  }

  /**
   * Takes a sequence's next token.
   *
   * @param row of its last token
   * @return the token; -1 if the sequence ends here
   */
  private int accept(Sequence sequence, int row) {
    int token = sampler.token(sequence.logitsRow);
    if (token < 0) {
      listeners.fail(
          sequence,
          runner.withLayer(sequence, new NotFinite(" after " + sequence.length + " tokens")));
      return -1;
    }
    if (sequence.constraint != null
        && !tokenizer.endsText(token)
        && !constrain(sequence, () -> sequence.constraint.accept(token))) {
      return -1;
    }
    return write(sequence, row, token);
  }

  /** Calls a sequence's constraint; false if the sequence fails. */
  private boolean constrain(Sequence sequence, Runnable call) {
    try {
      call.run();
      return true;
    } catch (RuntimeException e) {
      listeners.fail(sequence, e);
    } catch (StackOverflowError e) {
      listeners.fail(
          sequence,
          new IllegalArgumentException("the sequence's constraint is nested too deeply", e));
    }
    return false;
  }

  /** Appends a sampled token, and ends the sequence if it was the last one. */
  private int write(Sequence sequence, int row, int token) {
    GenerationRequest request = sequence.request;
    StopConfig stop = request.stop();
    if (sequence.first == 0) {
      sequence.first = System.nanoTime();
      sequence.untilFirst.commit(sequence);
    }
    TokenLogprobs logprobs =
        request.logprobs() < 0
            ? null
            : TokenLogprobs.of(
                    runner.backend(), sequence.logits, new int[] {token}, request.logprobs())
                .getFirst();
    boolean over = tokenizer.endsText(token) && !stop.ignoreEndOfText();
    if (over || stop.tokens().contains(token)) {
      if (logprobs == null
          || listeners.call(sequence, () -> sequence.listener.ending(token, logprobs))) {
        listeners.end(sequence, over ? Generation.End.END_OF_TEXT : Generation.End.STOP);
      }
      return -1;
    }
    sequence.sampler.wrote(token);
    sequence.append(token);
    sequence.written++;
    int[] experts = null;
    if (request.routing().tokens()) {
      runner.routes(sequence.rank, row, routes);
      experts = sequence.routes.best(routes);
    }
    int[] reported = experts;
    boolean[] stopped = new boolean[1];
    if (!listeners.call(
        sequence,
        () -> {
          sequence.listener.sampled(token, logprobs, reported);
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

  /** Masks all but the allowed tokens in a row of logits. */
  private static void keep(MemorySegment logits, BitSet allowed) {
    int vocabulary = (int) (logits.byteSize() / Float.BYTES);
    for (int token = allowed.nextClearBit(0);
        token < vocabulary;
        token = allowed.nextClearBit(token + 1)) {
      never(logits, token);
    }
  }

  /** Masks a token, unless its logit shows that the model failed. */
  private static void never(MemorySegment logits, int token) {
    if (Float.isFinite(logits.getAtIndex(ValueLayout.JAVA_FLOAT, token))) {
      logits.setAtIndex(ValueLayout.JAVA_FLOAT, token, Sampler.NEVER);
    }
  }

  @Override
  public void close() {
    sampler.close();
  }
}
