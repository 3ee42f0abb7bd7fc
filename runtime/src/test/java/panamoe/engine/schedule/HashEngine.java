package panamoe.engine.schedule;

import java.nio.charset.StandardCharsets;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.data.ByteTokenizer;
import panamoe.data.Tokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.routes.RouteStatistics;
import panamoe.engine.routes.RoutedLayer;
import panamoe.tensor.Tensor;

/** Engines over {@link HashRunner}, for tests of higher layers. */
public final class HashEngine {
  /** A prompt's character after which a sequence fails. */
  public static final char FAILS = '~';

  /** Tokens of {@link #TOKENIZER}: a letter, and the halves of é. */
  public static final int A = 0;

  public static final int FIRST_HALF = 55;
  public static final int SECOND_HALF = 56;
  public static final int END_OF_TEXT = 60;

  private static final String LETTERS =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ :\n\u00c3\u00a9.~!";

  /** A token for each known byte; others become a dot. */
  public static final Tokenizer TOKENIZER =
      new Tokenizer() {
        @Override
        public int[] encode(String text) {
          String bytes =
              new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
          return bytes
              .chars()
              .map(letter -> LETTERS.indexOf(letter) < 0 ? 57 : LETTERS.indexOf(letter))
              .toArray();
        }

        @Override
        public byte[] bytesOf(int token) {
          return token == END_OF_TEXT ? new byte[0] : new byte[] {(byte) LETTERS.charAt(token)};
        }

        @Override
        public int vocabularySize() {
          return HashRunner.VOCABULARY;
        }

        @Override
        public int endOfText() {
          return END_OF_TEXT;
        }

        @Override
        public String sha256() {
          return new ByteTokenizer().sha256();
        }
      };

  private HashEngine() {}

  /**
   * @param beforeStep runs before each step
   */
  public static Engine of(EngineConfig config, int context, Runnable beforeStep) {
    return of(config, context, beforeStep, () -> {}, () -> {});
  }

  /**
   * @param beforeStep runs before each step
   * @param onIdle runs when the engine is idle
   * @param onClose runs when its runner closes
   */
  static Engine of(
      EngineConfig config, int context, Runnable beforeStep, Runnable onIdle, Runnable onClose) {
    HashRunner runner = new HashRunner(config, 1, context);
    StepRunner hooked =
        new StepRunner() {
          @Override
          public void run(StepPlan plan) {
            beforeStep.run();
            runner.run(plan);
          }

          @Override
          public Backend backend() {
            return runner.backend();
          }

          @Override
          public Tensor output() {
            return runner.output();
          }

          @Override
          public List<RoutedLayer> layers() {
            return runner.layers();
          }

          @Override
          public void routes(int rank, int row, float[] into) {
            runner.routes(rank, row, into);
          }

          @Override
          public RouteStatistics statistics() {
            return runner.statistics();
          }

          @Override
          public int firstNonFiniteLayer(int[] tokens, int count, int[] topK) {
            return runner.firstNonFiniteLayer(tokens, count, topK);
          }

          @Override
          public void idle() {
            onIdle.run();
          }

          @Override
          public void close() {
            onClose.run();
            runner.close();
          }
        };
    return new Engine(hooked, 1, TOKENIZER, config, context, HashRunner.VOCABULARY);
  }
}
