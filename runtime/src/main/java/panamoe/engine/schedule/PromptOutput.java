package panamoe.engine.schedule;

import java.lang.foreign.MemorySegment;
import java.util.List;
import panamoe.engine.Generation;
import panamoe.engine.GenerationRequest;
import panamoe.engine.sample.TokenLogprobs;
import panamoe.op.NotFinite;

/**
 * Takes what a computed step says of prompts: their vectors, or their tokens' log probabilities.
 * Used by the engine's thread.
 */
final class PromptOutput {
  private final StepRunner runner;
  private final Listeners listeners;

  PromptOutput(StepRunner runner, Listeners listeners) {
    this.runner = runner;
    this.listeners = listeners;
  }

  /** Reads a part's wanted rows, and ends its sequence after the last. */
  void read(StepPlan.Part part) {
    Sequence sequence = part.sequence();
    Reading reading = sequence.reading;
    int width = (int) runner.output().size(1);
    float[] values = output(part, part.asked());
    for (int row = 0; row < part.asked(); row++) {
      reading.add(values, row * width, width);
    }
    if (!reading.done()) {
      return;
    }
    float[] result = reading.result();
    for (float value : result) {
      if (!Float.isFinite(value)) {
        listeners.fail(
            sequence,
            runner.withLayer(sequence, new NotFinite(" after " + sequence.length + " tokens")));
        return;
      }
    }
    if (listeners.call(sequence, () -> sequence.listener.read(result))) {
      listeners.end(sequence, Generation.End.LENGTH);
    }
  }

  /**
   * Reads the log probabilities of a prompt's tokens; after the last, the completion begins.
   *
   * @return what is left of the part, whose next token is to be sampled; null for nothing
   */
  StepPlan.Part score(StepPlan.Part part) {
    Sequence sequence = part.sequence();
    GenerationRequest request = sequence.request;
    int count = Math.min(part.asked(), sequence.reading.left());
    List<TokenLogprobs> scores =
        sequence.reading.score(
            runner.backend(), output(part, count), count, sequence.tokens, request.logprobs());
    if (scores.stream().anyMatch(score -> Double.isNaN(score.logprob()))) {
      listeners.fail(sequence, runner.withLayer(sequence, new NotFinite(" in the prompt")));
      return null;
    }
    if (!listeners.call(sequence, () -> sequence.listener.prompted(scores))
        || !sequence.reading.done()) {
      return null;
    }
    sequence.reading = null;
    if (request.stop().maxTokens() == 0) {
      listeners.end(sequence, Generation.End.LENGTH);
      return null;
    }
    return part.asked() > count ? part.after(count) : null;
  }

  /** The output of a part's first {@code count} wanted rows. */
  private float[] output(StepPlan.Part part, int count) {
    int width = (int) runner.output().size(1);
    float[] values = new float[count * width];
    if (count > 0) {
      long from = (long) runner.row(part.sequence().rank, part.wanted()) * width * Float.BYTES;
      runner.output().copyTo(from, MemorySegment.ofArray(values));
    }
    return values;
  }
}
