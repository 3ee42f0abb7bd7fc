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
 * Texts that are written together: the first step of the engine reads their prompts, and each step
 * writes a token of each.
 *
 * @param length tokens that are written of each
 * @param prompt tokens that each begins with
 * @param first of these, behind which come the next higher ones
 */
public record TimedGeneration(int texts, int length, int prompt, int first, long seed) {
  /** Of an engine that all of them run in at a time. */
  public EngineConfig config() {
    int each = EngineConfig.one(length + prompt).blocks();
    return new EngineConfig(texts * each, EngineConfig.BLOCK, texts, texts * prompt, 1, false, 0);
  }

  /** One of these texts. */
  public GenerationRequest request(int text) {
    SamplingConfig sampling = SamplingConfig.of(1, 0, 1, seed + text);
    StopConfig stop = new StopConfig(length, 0, List.of(), Set.of(), true, false);
    int[] tokens = IntStream.range(first, first + prompt).toArray();
    return GenerationRequest.of(tokens, sampling, stop);
  }

  /** Writes the texts; returns the milliseconds of each step. */
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
