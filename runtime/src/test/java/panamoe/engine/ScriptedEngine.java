package panamoe.engine;

import java.util.SplittableRandom;
import panamoe.data.ByteTokenizer;

/**
 * Engines over a model that wants to write a given text: its next byte is by far the most probable
 * one, then the end of the text; all other bytes have random logits. One text at a time.
 */
public final class ScriptedEngine {
  private static final float CERTAIN = 100;

  private ScriptedEngine() {}

  public static Engine of(EngineConfig config, int context, String script) {
    ByteTokenizer tokenizer = new ByteTokenizer();
    int[] text = tokenizer.encode(script);
    StepRunner runner =
        new StepRunner() {
          private int first;
          private int latest = -1;

          @Override
          public void run(StepPlan plan) {
            StepRows rows = plan.rank(0);
            for (int i = 0; i < rows.wantedCount; i++) {
              int position = rows.positions[rows.wanted[i]];
              first = position == latest + 1 ? first : position;
              latest = position;
            }
          }

          @Override
          public void logits(int rank, int wanted, float[] into) {
            SplittableRandom random = new SplittableRandom(latest);
            for (int token = 0; token < into.length; token++) {
              into[token] = (float) random.nextDouble();
            }
            int written = latest - first;
            into[written < text.length ? text[written] : tokenizer.endOfText()] = CERTAIN;
          }

          @Override
          public void close() {}
        };
    return new Engine(runner, 1, tokenizer, config, context, tokenizer.vocabularySize());
  }
}
