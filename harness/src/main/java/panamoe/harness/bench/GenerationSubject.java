package panamoe.harness.bench;

import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.IntConsumer;
import panamoe.backend.Backend;
import panamoe.backend.Recording;
import panamoe.data.Tokenizer;
import panamoe.engine.Engine;
import panamoe.engine.EngineConfig;
import panamoe.engine.Generation;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationRequest;
import panamoe.engine.ModelRunner;
import panamoe.engine.RouteStatistics;
import panamoe.engine.SamplingConfig;
import panamoe.engine.StepRows;
import panamoe.engine.StopConfig;
import panamoe.model.LanguageModel;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.tensor.DType;

/**
 * Prefill and decode of a {@link GenerationModel}. With the default model and shape a token
 * activates about 58 million weights.
 */
final class GenerationSubject implements Subject {
  /** Every token is a letter. */
  private static final Tokenizer LETTERS =
      new Tokenizer() {
        private final byte[] letter = {'a'};

        @Override
        public int[] encode(String text) {
          return new int[text.length()];
        }

        @Override
        public byte[] bytesOf(int token) {
          return letter;
        }

        @Override
        public int vocabularySize() {
          return GenerationModel.VOCABULARY;
        }

        @Override
        public int endOfText() {
          return 0;
        }

        @Override
        public String sha256() {
          return "";
        }
      };

  private final Backend backend;
  private final Kind kind;
  private final LayerShape shape;
  private final DType dtype;
  private final long seed;
  private final LanguageModel model;
  private final LastRecording calls = new LastRecording(); // on a card

  GenerationSubject(
      Backend backend, Kind kind, GenerationModel model, LayerShape shape, DType dtype, long seed) {
    this.backend = backend.asynchronous() ? LastRecording.watch(backend, calls) : backend;
    this.kind = kind;
    this.shape = shape;
    this.dtype = dtype;
    this.seed = seed;
    this.model = new LanguageModel(model.config(shape, GenerationModel.VOCABULARY));
    this.model.materialize(backend, dtype, false, seed);
    this.model.pack(backend, dtype);
  }

  static void requireTokens(Kind kind, int tokens) {
    if (tokens >= GenerationModel.CONTEXT) {
      throw new IllegalArgumentException(
          kind.label()
              + " over "
              + tokens
              + " tokens: expected fewer than its context of "
              + GenerationModel.CONTEXT);
    }
  }

  @Override
  public Workload over(int tokens) {
    requireTokens(kind, tokens);
    return switch (kind) {
      case PREFILL -> new Prefill(texts(tokens));
      case DECODE_BATCH -> new DecodeBatch(texts(tokens));
      default -> new Decode(texts(tokens));
    };
  }

  @Override
  public void close() {
    model.close();
  }

  private GenerationTexts texts(int tokens) {
    return GenerationTexts.of(kind, tokens, seed);
  }

  /** Sequences in blocks. */
  private abstract class Sequences implements Workload {
    final ModelRunner runner;
    private final StepRows rows;

    /**
     * @param most tokens of each
     */
    Sequences(int sequences, int most) {
      int each = EngineConfig.one(most).blocks();
      int size = EngineConfig.one(most).blockSize();
      EngineConfig config =
          new EngineConfig(sequences * each, size, sequences, sequences * most, 0, false, 0);
      runner = new ModelRunner(backend, model, config);
      rows = new StepRows(sequences * most);
      for (int slot = 0; slot < sequences; slot++) {
        for (int block = 0; block < each; block++) {
          rows.change(slot, block, slot * each + block);
        }
      }
    }

    /** Adds {@code token} to the next step. */
    final void add(int token, int slot, int position) {
      rows.add(token, slot, position);
    }

    /** Asks for the logits after the token that was added last. */
    final void want() {
      rows.want();
    }

    final void compute() {
      runner.run(rows);
      rows.clear();
    }

    @Override
    public void close() {
      runner.close();
    }
  }

  private final class Prefill extends Sequences {
    private final GenerationTexts texts;

    Prefill(GenerationTexts texts) {
      super(1, texts.cached());
      this.texts = texts;
    }

    @Override
    public void run(int call) {
      for (int i = 0; i < texts.cached(); i++) {
        add(texts.prompt(0, i), 0, i);
      }
      want();
      compute();
    }

    @Override
    public Cost cost() {
      return model.cost(Work.prefill(texts.cached(), dtype));
    }
  }

  private class Decode extends Sequences {
    private final GenerationTexts texts;
    private final long hit;

    Decode(GenerationTexts texts) {
      super(texts.texts(), texts.cached() + 1);
      this.texts = texts;
      for (int slot = 0; slot < texts.texts(); slot++) {
        for (int i = 0; i < texts.cached(); i++) {
          add(texts.prompt(slot, i), slot, i);
        }
      }
      compute();
      RouteStatistics before = runner.statistics();
      run(0);
      this.hit = hit(before, runner.statistics());
    }

    @Override
    public void run(int call) {
      for (int slot = 0; slot < texts.texts(); slot++) {
        add(texts.next(call, slot), slot, texts.cached());
        want();
      }
      compute();
    }

    /** Those of the recorded step, which all calls but the first replay. */
    @Override
    public IntConsumer kernels() {
      if (!backend.asynchronous()) {
        return null;
      }
      run(0);
      Recording step = calls.recording(); // an engine beside it records its own later
      return _ -> step.replay();
    }

    /** The experts that the tokens of several texts need are counted. */
    @Override
    public Cost cost() {
      Cost most = model.cost(Work.decode(texts.texts(), texts.cached(), dtype));
      long layers = model.config().experts().stream().filter(experts -> experts > 0).count();
      double able = layers * Math.min(shape.experts(), (double) texts.texts() * shape.topK());
      double spared = (able - hit) * shape.expertBytes(dtype);
      return new Cost(most.flops(), most.bytesRead() - spared, most.bytesWritten(), most.kept(), 0);
    }
  }

  /**
   * Beside an engine that writes as many texts, which have {@link GenerationTexts#CACHED} tokens on
   * average.
   */
  private final class DecodeBatch extends Decode {
    private static final StopConfig UNTIL =
        new StopConfig(2 * GenerationTexts.CACHED, 0, List.of(), Set.of(), true, false);

    private final Random random = new Random(seed);
    private final Engine engine;
    private boolean closed;

    DecodeBatch(GenerationTexts input) {
      super(input);
      int texts = input.texts();
      int blocks = texts * EngineConfig.one(2 * GenerationTexts.CACHED + 1).blocks();
      int size = EngineConfig.BLOCK;
      engine =
          new Engine(
              backend, model, LETTERS, new EngineConfig(blocks, size, texts, texts, 1, false, 0));
      for (int text = 0; text < texts; text++) {
        write(text);
      }
    }

    /** Asks for a text, and for the next one when it ends. */
    private void write(long seed) {
      int[] prompt = {random.nextInt(GenerationModel.VOCABULARY)};
      engine.submit(
          GenerationRequest.of(prompt, SamplingConfig.of(1, 0, 1, seed), UNTIL),
          new GenerationListener() {
            @Override
            public void ended(Generation generation) {
              if (!closed) {
                write(seed + 1);
              }
            }

            @Override
            public void failed(RuntimeException cause) {
              throw cause;
            }
          });
    }

    @Override
    public Beside beside() {
      return new Beside("engine", Contender.of(_ -> engine.step()));
    }

    @Override
    public void close() {
      closed = true;
      engine.close();
      super.close();
    }
  }

  /** The experts of all layers that got rows between two times. */
  private static long hit(RouteStatistics before, RouteStatistics after) {
    long hit = 0;
    for (int layer = 0; layer < after.layers().size(); layer++) {
      long[] earlier = before.layers().get(layer).tokens();
      long[] later = after.layers().get(layer).tokens();
      for (int expert = 0; expert < later.length; expert++) {
        hit += later[expert] > earlier[expert] ? 1 : 0;
      }
    }
    return hit;
  }
}
