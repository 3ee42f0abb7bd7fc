package panamoe.lab.bench;

import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.IntConsumer;
import panamoe.backend.Backend;
import panamoe.backend.KernelGraph;
import panamoe.config.BlockConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.engine.EngineConfig;
import panamoe.engine.Generation;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.routes.RouteStatistics;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.ModelRunner;
import panamoe.engine.schedule.StepRows;
import panamoe.harness.probe.LetterTokenizer;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.param.Parameter;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Prefill and decode of a {@link GenerationModel}, or of a model's files. With the default model
 * and shape a token activates about 58 million weights.
 */
final class GenerationBench implements Bench {
  private final Backend backend;
  private final BenchKind kind;
  private final DType dtype;
  private final long seed;
  private final LanguageModel model;
  private final LastGraph calls = new LastGraph(); // on a GPU

  private GenerationBench(
      Backend backend, BenchKind kind, LanguageModel model, DType dtype, long seed) {
    this.backend = backend.asynchronous() ? LastGraph.watch(backend, calls) : backend;
    this.kind = kind;
    this.dtype = dtype;
    this.seed = seed;
    this.model = model;
  }

  /** With random weights. */
  static GenerationBench drawn(
      Backend backend, BenchKind kind, ModelConfig config, DType dtype, long seed) {
    LanguageModel model = new LanguageModel(config);
    try {
      model.materialize(backend, dtype, false, seed);
      model.pack(backend, dtype);
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
    return new GenerationBench(backend, kind, model, dtype, seed);
  }

  /** With the weights of a file. */
  static GenerationBench loaded(
      Backend backend, BenchKind kind, ModelFile file, DType compute, long seed) {
    if (file.folder().config().encoder() != null) {
      throw new IllegalArgumentException(
          file.path() + " has an encoder, which prefill and decode do not measure");
    }
    return new GenerationBench(backend, kind, file.load(backend, compute), compute, seed);
  }

  static void requireTokens(BenchKind kind, int tokens, int context) {
    if (tokens >= context) {
      throw Require.refusal(
          "%s over %s tokens: expected fewer than its context of %s", kind, tokens, context);
    }
  }

  @Override
  public Workload over(int tokens) {
    return over(tokens, 1);
  }

  @Override
  public Workload over(int tokens, int texts) {
    requireTokens(kind, tokens, model.config().context());
    GenerationInput input =
        GenerationInput.of(kind, tokens, texts, model.config().vocabulary(), seed);
    return switch (kind) {
      case PREFILL -> new Prefill(input);
      case DECODE_BATCH -> new DecodeBatch(input);
      default -> new Decode(input);
    };
  }

  @Override
  public void close() {
    model.close();
  }

  /** A batch of sequences in a paged cache. */
  private abstract class Sequences implements Workload {
    final ModelRunner runner;
    private final StepRows rows;

    /**
     * @param most tokens of each sequence
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
      add(token, slot, position, 0);
    }

    /** Adds a token with an adapter; 0: without one. */
    final void add(int token, int slot, int position, int adapter) {
      rows.add(token, slot, position, adapter);
    }

    /** Requests the logits after the last added token. */
    final void want() {
      rows.want();
    }

    final void compute() {
      runner.run(rows);
      rows.clear();
    }

    /**
     * Matrices in blocks are multiplied by int8 rows or in float32, and they dominate the products.
     */
    @Override
    public final DType products(DType compute) {
      List<Tensor> blocks =
          model.parameters().parameters().stream()
              .map(Parameter::value)
              .filter(it -> it.dtype().isBlocks())
              .toList();
      if (blocks.isEmpty()) {
        return compute;
      }
      return blocks.getFirst().exact() ? DType.FLOAT32 : DType.INT8;
    }

    @Override
    public void close() {
      runner.close();
    }
  }

  private final class Prefill extends Sequences {
    private final GenerationInput texts;

    Prefill(GenerationInput texts) {
      super(texts.texts(), texts.cached());
      this.texts = texts;
    }

    @Override
    public void run(int call) {
      for (int slot = 0; slot < texts.texts(); slot++) {
        for (int i = 0; i < texts.cached(); i++) {
          add(texts.prompt(slot, i), slot, i);
        }
        want();
      }
      compute();
    }

    @Override
    public Cost cost() {
      return model.cost(Work.prefill(texts.texts(), texts.cached(), dtype));
    }
  }

  private class Decode extends Sequences {
    private final GenerationInput texts;
    private final int adapters;
    private final long hit;
    private Decode plain; // null until it is asked for

    Decode(GenerationInput texts) {
      this(texts, model.choices().size());
    }

    /**
     * @param adapters that sequences have in turn
     */
    Decode(GenerationInput texts, int adapters) {
      super(texts.texts(), texts.cached() + 1);
      this.texts = texts;
      this.adapters = adapters;
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
        int adapter = adapters == 0 ? 0 : 1 + slot * adapters / texts.texts();
        add(texts.next(call, slot), slot, texts.cached(), adapter);
        want();
      }
      compute();
    }

    /** With adapters, the same step without them. */
    @Override
    public Beside beside() {
      if (adapters == 0) {
        return null;
      }
      plain = new Decode(texts, 0);
      return new Beside("no adapter", Contender.of(plain::run));
    }

    @Override
    public void close() {
      if (plain != null) {
        plain.close();
      }
      super.close();
    }

    /** The kernels of the captured step, which every call after the first replays. */
    @Override
    public IntConsumer kernels() {
      if (!backend.asynchronous()) {
        return null;
      }
      run(0);
      KernelGraph step = calls.graph(); // another engine captures its own later
      return _ -> step.replay();
    }

    /** With several sequences, counts the experts that their tokens reach. */
    @Override
    public Cost cost() {
      Cost most = model.cost(Work.decode(texts.texts(), texts.cached(), dtype));
      double able = 0;
      for (BlockConfig block : model.config().blocks()) {
        able +=
            block.feedForward() instanceof MoeConfig moe
                ? Math.min(moe.experts(), (double) texts.texts() * moe.gate().topK())
                : 0;
      }
      if (able == 0) {
        return most;
      }
      double all =
          model.parameters().parameters().stream()
              .filter(WeightTypes::isExpert)
              .mapToLong(p -> p.value().bytes())
              .sum();
      double each = all / model.config().experts().stream().mapToInt(count -> count).sum();
      double spared = (able - hit) * each;
      return new Cost(most.flops(), most.bytesRead() - spared, most.bytesWritten(), most.kept(), 0);
    }
  }

  /**
   * The baseline is an engine with equally many sequences of {@link GenerationInput#CACHED} tokens
   * on average.
   */
  private final class DecodeBatch extends Decode {
    private static final StopConfig UNTIL =
        new StopConfig(2 * GenerationInput.CACHED, 0, List.of(), Set.of(), true, false);

    private final Random random = new Random(seed);
    private final Engine engine;
    private boolean closed;

    DecodeBatch(GenerationInput input) {
      super(input);
      int texts = input.texts();
      int blocks = texts * EngineConfig.one(2 * GenerationInput.CACHED + 1).blocks();
      int size = EngineConfig.BLOCK;
      engine =
          new Engine(
              backend,
              model,
              new LetterTokenizer(model.config().vocabulary()),
              new EngineConfig(blocks, size, texts, texts, 1, false, 0));
      for (int text = 0; text < texts; text++) {
        write(text);
      }
    }

    /** Submits a request, and the next one when it ends. */
    private void write(long seed) {
      int[] prompt = {random.nextInt(model.config().vocabulary())};
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

  /** Number of experts, over all layers, that got rows between two snapshots. */
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
