package panamoe.harness.bench;

import java.util.Random;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.engine.EngineConfig;
import panamoe.engine.ModelRunner;
import panamoe.engine.StepRows;
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

  private final Backend backend;
  private final Kind kind;
  private final DType dtype;
  private final Random random;
  private final LanguageModel model;

  GenerationSubject(Backend backend, Kind kind, LayerShape shape, DType dtype, long seed) {
    this.backend = backend;
    this.kind = kind;
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
    return kind == Kind.PREFILL ? new Prefill(tokens) : new Decode(tokens);
  }

  @Override
  public void close() {
    model.close();
  }

  private int[] tokens(int count) {
    return random.ints(count, 0, VOCABULARY).toArray();
  }

  /** One sequence in blocks, of which the first {@code most} tokens are computed. */
  private abstract class Sequence implements Workload {
    private final ModelRunner runner;
    private final StepRows rows;

    Sequence(int most) {
      EngineConfig config = EngineConfig.one(most);
      runner = new ModelRunner(backend, model, config);
      rows = new StepRows(most);
      for (int block = 0; block < config.blocks(); block++) {
        rows.change(0, block, block);
      }
    }

    /** Computes tokens from {@code position} on, and the logits after the last. */
    final void compute(int[] tokens, int first, int count, int position) {
      for (int i = 0; i < count; i++) {
        rows.add(tokens[first + i], 0, position + i);
      }
      rows.want();
      runner.run(rows);
      rows.clear();
    }

    @Override
    public final void close() {
      runner.close();
    }
  }

  private final class Prefill extends Sequence {
    private final int[] prompt;

    Prefill(int tokens) {
      super(tokens);
      this.prompt = tokens(tokens);
    }

    @Override
    public void run(int call) {
      compute(prompt, 0, prompt.length, 0);
    }

    @Override
    public Cost cost() {
      return model.cost(Work.prefill(prompt.length, dtype));
    }
  }

  private final class Decode extends Sequence {
    private final int position;
    private final int[] next = tokens(64);

    Decode(int position) {
      super(position + 1);
      this.position = position;
      compute(tokens(position), 0, position, 0);
    }

    @Override
    public void run(int call) {
      compute(next, call % next.length, 1, position);
    }

    @Override
    public Cost cost() {
      return model.cost(Work.decode(1, position, dtype));
    }
  }
}
