package panamoe.harness.probe;

import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.schedule.Engine;

/**
 * Sequences that an engine generates as one batch: the first step prefills their prompts, and each
 * step adds a token to each.
 *
 * @param length generated tokens per sequence
 * @param prompt prompt tokens per sequence
 * @param first id of the prompt's first token; the next ones count up
 */
public record TimedGeneration(int texts, int length, int prompt, int first, long seed) {
  /** The configuration of an engine with room for all sequences at once. */
  public EngineConfig config() {
    int each = EngineConfig.one(length + prompt).blocks();
    return new EngineConfig(texts * each, EngineConfig.BLOCK, texts, texts * prompt, 1, false, 0);
  }

  /** The request of one sequence. */
  public GenerationRequest request(int text) {
    SamplingConfig sampling = SamplingConfig.of(1, 0, 1, seed + text);
    StopConfig stop = new StopConfig(length, 0, List.of(), Set.of(), true, false);
    int[] tokens = IntStream.range(first, first + prompt).toArray();
    return GenerationRequest.of(tokens, sampling, stop);
  }

  /** Generates the sequences; returns the milliseconds of each step. */
  public double[] write(Engine engine) {
    for (int text = 0; text < texts; text++) {
      engine.submit(
          request(text),
          new GenerationListener() {
            @Override
            public void failed(RuntimeException failure) {
              throw failure;
            }
          });
    }
    double[] steps = new double[length];
    for (int step = 0; step < length; step++) {
      long start = System.nanoTime();
      engine.step();
      steps[step] = (System.nanoTime() - start) / 1e6;
    }
    return steps;
  }
}
