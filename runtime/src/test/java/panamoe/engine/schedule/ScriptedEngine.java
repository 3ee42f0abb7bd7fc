package panamoe.engine.schedule;

import java.util.SplittableRandom;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.data.ByteTokenizer;
import panamoe.data.Tokenizer;
import panamoe.engine.EngineConfig;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Engines over a model that generates a given text: its next byte is by far the most probable, then
 * the end of text; all other bytes have random logits. One sequence at a time.
 */
public final class ScriptedEngine {
  private static final float CERTAIN = 100;

  private ScriptedEngine() {}

  public static Engine of(EngineConfig config, int context, String script) {
    ByteTokenizer tokenizer = new ByteTokenizer();
    return of(config, context, tokenizer, tokenizer.encode(script));
  }

  /** With another tokenizer. */
  public static Engine of(EngineConfig config, int context, Tokenizer tokenizer, int[] text) {
    Backend backend = new ReferenceBackend();
    StepRunner runner =
        new StepRunner() {
          private final TensorScope scope = TensorScope.shared(backend);
          private final Tensor logits =
              scope.allocate(DType.FLOAT32, 1, tokenizer.vocabularySize());
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
          public Backend backend() {
            return backend;
          }

          @Override
          public Tensor output() {
            SplittableRandom random = new SplittableRandom(latest);
            for (int token = 0; token < logits.count(); token++) {
              logits.setFloat(token, (float) random.nextDouble());
            }
            int written = latest - first;
            logits.setFloat(written < text.length ? text[written] : tokenizer.endOfText(), CERTAIN);
            return logits;
          }

          @Override
          public void close() {
            scope.close();
          }
        };
    return new Engine(runner, 1, tokenizer, config, context, tokenizer.vocabularySize());
  }
}
