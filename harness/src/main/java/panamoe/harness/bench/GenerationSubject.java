package panamoe.harness.bench;

import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
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
 * Prefill and decode of a four-layer model with experts on every other layer. With the default
 * shape a token activates about 58 million weights.
 */
final class GenerationSubject implements Subject {
  private static final int VOCABULARY = 8192;
  private static final int LAYERS = 4;
  private static final int HEAD_SIZE = 64;
  private static final int CONTEXT = 4096;

  /** Tokens of each text that {@link Kind#DECODE_BATCH} goes on with. */
  private static final int CACHED = 64;

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
          return VOCABULARY;
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
  private final Random random;
  private final LanguageModel model;

  GenerationSubject(Backend backend, Kind kind, LayerShape shape, DType dtype, long seed) {
    this.backend = backend;
    this.kind = kind;
    this.shape = shape;
    this.dtype = dtype;
    this.random = new Random(seed);
    this.model = new LanguageModel(config(shape, VOCABULARY));
    model.materialize(backend, dtype, false, seed);
    model.pack(backend, dtype);
  }

  static ModelConfig config(LayerShape shape, int vocabulary) {
    int heads = Math.max(1, shape.hidden() / HEAD_SIZE);
    return new UniformModel(
            vocabulary,
            CONTEXT,
            shape.hidden(),
            heads,
            heads,
            shape.expertHidden(),
            IntStream.range(0, LAYERS)
                .mapToObj(layer -> layer % 2 == 1 ? shape.experts() : 0)
                .toList(),
            false,
            shape.config().gate(),
            shape.activation(),
            NormConfig.Kind.LAYER,
            UniformModel.Positions.LEARNED,
            false,
            LayerSubject.DEVIATION)
        .toConfig();
  }

  static void requireTokens(Kind kind, int tokens) {
    if (tokens >= CONTEXT) {
      throw new IllegalArgumentException(
          kind.label()
              + " over "
              + tokens
              + " tokens: expected fewer than its context of "
              + CONTEXT);
    }
  }

  @Override
  public Workload over(int tokens) {
    requireTokens(kind, tokens);
    return switch (kind) {
      case PREFILL -> new Prefill(tokens);
      case DECODE_BATCH -> new DecodeBatch(tokens);
      default -> new Decode(1, tokens);
    };
  }

  @Override
  public void close() {
    model.close();
  }

  private int[] tokens(int count) {
    return random.ints(count, 0, VOCABULARY).toArray();
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
    private final int[] prompt;

    Prefill(int tokens) {
      super(1, tokens);
      this.prompt = tokens(tokens);
    }

    @Override
    public void run(int call) {
      for (int i = 0; i < prompt.length; i++) {
        add(prompt[i], 0, i);
      }
      want();
      compute();
    }

    @Override
    public Cost cost() {
      return model.cost(Work.prefill(prompt.length, dtype));
    }
  }

  /**
   * One text's tokens change from call to call, so that its experts' weights come from memory. The
   * tokens of several texts, which need many experts, stay: these experts are counted.
   */
  private class Decode extends Sequences {
    private final int sequences;
    private final int position;
    private final int[] next;
    private final long hit;

    Decode(int sequences, int position) {
      super(sequences, position + 1);
      this.sequences = sequences;
      this.position = position;
      this.next = tokens(sequences == 1 ? 64 : sequences);
      int[] prompts = tokens(sequences * position);
      for (int i = 0; i < prompts.length; i++) {
        add(prompts[i], i / position, i % position);
      }
      compute();
      RouteStatistics before = runner.statistics();
      run(0);
      this.hit = hit(before, runner.statistics());
    }

    @Override
    public void run(int call) {
      for (int slot = 0; slot < sequences; slot++) {
        add(next[(call * sequences + slot) % next.length], slot, position);
        want();
      }
      compute();
    }

    @Override
    public Cost cost() {
      Cost most = model.cost(Work.decode(sequences, position, dtype));
      double able = LAYERS / 2 * Math.min(shape.experts(), (double) sequences * shape.topK());
      double spared = (able - hit) * shape.expertBytes(dtype);
      return new Cost(most.flops(), most.bytesRead() - spared, most.bytesWritten(), most.kept(), 0);
    }
  }

  /** Beside an engine that writes as many texts, which have {@link #CACHED} tokens on average. */
  private final class DecodeBatch extends Decode {
    private static final StopConfig UNTIL =
        new StopConfig(2 * CACHED, 0, List.of(), Set.of(), true, false);

    private final Engine engine;
    private boolean closed;

    DecodeBatch(int texts) {
      super(texts, CACHED);
      int blocks = texts * EngineConfig.one(2 * CACHED + 1).blocks();
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
      int[] prompt = tokens(1);
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
