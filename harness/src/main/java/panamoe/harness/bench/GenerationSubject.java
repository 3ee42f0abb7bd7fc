package panamoe.harness.bench;

import java.util.Random;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.config.BlockConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.engine.Decoder;
import panamoe.model.LanguageModel;
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
  private final ModelConfig config;
  private final LanguageModel model;

  GenerationSubject(Backend backend, Kind kind, LayerShape shape, DType dtype, long seed) {
    this.backend = backend;
    this.kind = kind;
    this.dtype = dtype;
    this.random = new Random(seed);
    this.config = config(shape, VOCABULARY);
    this.model = new LanguageModel(config);
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

  private final class Prefill implements Workload {
    private final Decoder decoder;
    private final int[] prompt;
    private final float[] logits = new float[VOCABULARY];

    Prefill(int tokens) {
      this.decoder = new Decoder(backend, model, 1, tokens);
      this.prompt = tokens(tokens);
    }

    @Override
    public void run(int call) {
      decoder.prefill(0, 0, prompt, logits);
    }

    @Override
    public double flops() {
      return ModelWork.forwardFlops(config, prompt.length, 1, prompt.length / 2.0);
    }

    /** Assumes that every token hits another expert, up to all experts. */
    @Override
    public double bytes() {
      double elements = ModelWork.activeElements(config);
      for (BlockConfig block : config.blocks()) {
        if (block.feedForward() instanceof MoeConfig moe) {
          int topK = moe.gate().topK();
          int hit = Math.min(moe.experts(), prompt.length * topK);
          elements += (hit - topK) * ModelWork.expertElements(config.hidden(), moe);
        }
      }
      return (elements + (double) VOCABULARY * config.hidden()) * dtype.bytes();
    }

    @Override
    public void close() {
      decoder.close();
    }
  }

  private final class Decode implements Workload {
    private final Decoder decoder;
    private final int position;
    private final int[] next = tokens(64);
    private final float[] logits = new float[VOCABULARY];

    Decode(int position) {
      this.decoder = new Decoder(backend, model, 1, position + 1L);
      this.position = position;
      decoder.prefill(0, 0, tokens(position), logits);
    }

    @Override
    public void run(int call) {
      decoder.step(0, position, next[call % next.length], logits);
    }

    @Override
    public double flops() {
      return ModelWork.forwardFlops(config, 1, 1, position + 1.0);
    }

    /**
     * The weights that a token activates, the output matrix, and the keys and values of earlier
     * tokens.
     */
    @Override
    public double bytes() {
      double cache = 2.0 * (position + 1) * config.hidden() * config.layers();
      return (ModelWork.activeElements(config) + (double) VOCABULARY * config.hidden() + cache)
          * dtype.bytes();
    }

    @Override
    public void close() {
      decoder.close();
    }
  }
}
