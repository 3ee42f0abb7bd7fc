package panamoe.engine.schedule;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiFunction;
import panamoe.backend.Backend;
import panamoe.backend.KernelGraph;
import panamoe.config.BlockConfig;
import panamoe.config.MoeConfig;
import panamoe.engine.EngineConfig;
import panamoe.engine.routes.RouteCounts;
import panamoe.engine.routes.RouteLayout;
import panamoe.engine.routes.RouteRecorder;
import panamoe.engine.routes.RouteStatistics;
import panamoe.engine.routes.RouteTables;
import panamoe.engine.routes.RoutedLayer;
import panamoe.engine.routes.Routing;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.nn.KeyValueCache;
import panamoe.nn.Sequences;
import panamoe.op.AdapterRows;
import panamoe.op.EmbeddingOp;
import panamoe.op.Pass;
import panamoe.parallel.Ranks;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Computes the steps of a model with a paged key/value cache. A row's logits do not depend on other
 * rows of its step, nor on the blocks of its sequence.
 *
 * <p>A step of as many rows as the one before, the logits of all of them wanted and of the same
 * top-k, as in writing, is captured and replayed from then on without allocating Java objects. A
 * step over ranks on GPUs is, too, if rank 0 gives it the number of the one before. Used by one
 * thread at a time.
 */
public final class ModelRunner implements StepRunner {
  /**
   * What a step over ranks is on all of them, as rank 0 decides.
   *
   * @param shape a number of steps that all write and have equally many rows on each rank, by which
   *     they are captured; 0 for other steps
   * @param mostRows of a rank, if the step has a shape; otherwise 0
   * @param gather gathers the output on rank 0, and returns null elsewhere; a part of the step
   */
  record Together(int shape, int mostRows, BiFunction<TensorScope, Tensor, Tensor> gather) {
    /** One rank, whose repetitions a runner finds itself. */
    static final Together ALONE = new Together(0, 0, (_, output) -> output);
  }

  private final Backend backend;
  private final LanguageModel model;
  private final TensorScope scope;
  private final KeyValueCache cache;
  private final StepInputs inputs;
  private final EncoderCache encoded; // null without an encoder
  private final RouteLayout routes;
  private final RouteCounts counts;
  private final RouteRecorder recorder;
  private final boolean replays;
  private final boolean adaptsExperts;
  private final int stepTokens;
  private final DType keyValues;
  // The latest step, and the latest captured one, which may be the same.
  private Step step;
  private Step captured;
  private int rowsBefore;
  private boolean adaptedBefore;
  private int[] topKBefore;
  private int shapeBefore; // of the latest step over ranks that writes; 0 before the first

  /**
   * With the same blocks in all layers.
   *
   * @param config of the cache, which is allocated here
   * @throws IllegalArgumentException if the model cannot generate
   */
  public ModelRunner(Backend backend, LanguageModel model, EngineConfig config) {
    this(backend, model, config, 0);
  }

  /** Layers with a window of at most {@code window} get their own blocks. */
  ModelRunner(Backend backend, LanguageModel model, EngineConfig config, int window) {
    model.config().requireCausal();
    this.backend = backend;
    this.model = model;
    this.routes = new RouteLayout(RoutedLayer.of(model.config()));
    this.counts = new RouteCounts(routes.layers());
    this.recorder = new RouteRecorder(routes.layers());
    this.replays = model.config().blocks().stream().noneMatch(ModelRunner::computesOnHost);
    this.adaptsExperts =
        !model.choices().isEmpty()
            && model.moeLayers().stream()
                .flatMap(layer -> layer.expertMatrices().stream())
                .anyMatch(matrix -> matrix.adapter() != null);
    this.stepTokens = config.stepTokens();
    this.keyValues = config.int8Cache() ? DType.INT8 : model.activationDType();
    this.scope = TensorScope.shared(backend);
    try {
      int windowBlocks = config.windowBlocks(window);
      this.cache =
          model.cache(scope, keyValues, config.blocks(), config.blockSize(), window, windowBlocks);
      int tables = window == 0 ? 1 : 2; // block tables of each slot
      int perSequence = config.blocksOf(model.config().context());
      int choices = model.choices().isEmpty() ? 0 : model.choices().size() + 1;
      this.inputs =
          new StepInputs(scope, tables * config.sequences(), perSequence, stepTokens, choices);
      this.encoded =
          model
              .encoder()
              .map(
                  encoder ->
                      new EncoderCache(
                          scope, backend, encoder, keyValues, config.sequences(), stepTokens))
              .orElse(null);
    } catch (RuntimeException | Error e) {
      scope.close();
      throw e;
    }
  }

  /**
   * Whether a step over ranks can be captured: all work is the device's, rows move in slots, and no
   * expert's address changes.
   *
   * @param most rows of a rank
   */
  boolean capturesTogether(int most) {
    Ranks ranks = model.parameters().ranks();
    return replays
        && ranks.world().enqueues()
        && encoded == null
        && model.parameters().expertCache().isEmpty()
        && model.moeLayers().stream()
            .allMatch(layer -> layer.servesSlots(model.activationDType(), most));
  }

  /** Whether Java code computes a part of the block, which a replay would leave out. */
  private static boolean computesOnHost(BlockConfig block) {
    return block.hasScale()
        || block.feedForward() instanceof MoeConfig moe
            && (moe.gate().weight().sparseMixer() != null || moe.gate().weight().hasFactors());
  }

  /**
   * The logits [V] after {@code tokens}, which are one or more.
   *
   * @param model packed for inference
   * @throws IllegalArgumentException if it has an encoder or no head for the next token
   */
  public static float[] nextLogits(Backend backend, LanguageModel model, int... tokens) {
    Require.that(
        model.config().encoder() == null,
        "a model with an encoder does not continue its prompt, so there is no next token");
    model.config().requireGeneration();
    int count = tokens.length;
    float[] logits = new float[model.config().vocabulary()];
    try (ModelRunner runner =
        new ModelRunner(backend, model, new EngineConfig(1, count, 1, count, 0, false, 0))) {
      StepRows rows = new StepRows(count);
      for (int position = 0; position < count; position++) {
        rows.add(tokens[position], 0, position);
      }
      rows.change(0, 0, 0);
      int last = rows.want();
      runner.run(rows);
      runner.logits(last, logits);
    }
    return logits;
  }

  @Override
  public void run(StepPlan plan) {
    run(plan.rank(0));
  }

  /**
   * Computes a step.
   *
   * @throws IllegalArgumentException if a row has no position in the cache, or a token is outside
   *     the vocabulary
   */
  public void run(StepRows rows) {
    // An expert's address in the expert cache changes from step to step: no replay.
    if (model.parameters().expertCache().isPresent()) {
      runTogether(rows, Together.ALONE);
      return;
    }
    boolean writes =
        replays
            && rows.wantedCount == rows.count
            && !rows.hidden
            && !(rows.adapted && adaptsExperts);
    take(rows);
    if (writes && captured != null && captured.repeats(rows)) {
      captured.replay(rows);
      become(captured);
    } else if (writes
        && rowsBefore == rows.count
        && adaptedBefore == rows.adapted
        && Arrays.equals(topKBefore, rows.topK)) {
      drop(captured);
      captured = null; // if this fails
      captured = new Step(rows, true, Together.ALONE);
      become(captured);
    } else {
      become(new Step(rows, false, Together.ALONE));
    }
    rowsBefore = writes ? rows.count : 0;
    adaptedBefore = rows.adapted;
    topKBefore = rows.topK;
    finish();
  }

  /**
   * Computes a step together with other ranks, whose experts may be needed: of no rows, perhaps. As
   * for one rank, a step of the shape of the one before is captured, and replayed from then on:
   * without a word between the ranks' hosts.
   */
  void runTogether(StepRows rows, Together together) {
    take(rows);
    int shape = together.shape();
    if (shape > 0 && captured != null && captured.shape == shape) {
      captured.replay(rows);
      become(captured);
    } else if (shape > 0 && shape == shapeBefore) {
      drop(captured);
      captured = null; // if this fails
      captured = new Step(rows, true, together);
      become(captured);
    } else {
      become(new Step(rows, false, together));
    }
    shapeBefore = shape > 0 ? shape : shapeBefore;
    finish();
    // A rank without rows may still read experts for other ranks' rows.
    boolean writes = rows.count > 0 && rows.wantedCount == rows.count && rows.sources.isEmpty();
    model.parameters().expertCache().ifPresent(cache -> cache.stepped(rows.count, writes));
  }

  private void take(StepRows rows) {
    inputs.changeTable(rows);
    if (encoded != null) {
      encoded.take(rows);
    }
  }

  private void finish() {
    step.routes.read();
    step.routes.addTo(counts);
    recorder.stepped(step.routes);
  }

  /** Replaces the latest step. The old one is freed unless it is kept for replay. */
  private void become(Step next) {
    if (step != captured && step != next) {
      drop(step);
    }
    step = next;
  }

  private static void drop(Step unwanted) {
    if (unwanted != null) {
      unwanted.close();
    }
  }

  @Override
  public Backend backend() {
    return backend;
  }

  @Override
  public void requireGeneration() {
    model.config().requireGeneration();
  }

  @Override
  public Tensor output() {
    return step.gathered;
  }

  /**
   * Copies logits of the latest step.
   *
   * @param wanted index among the step's wanted rows
   * @param into [V]
   */
  public void logits(int wanted, float[] into) {
    step.output.copyTo((long) wanted * into.length * Float.BYTES, MemorySegment.ofArray(into));
  }

  @Override
  public int window() {
    return cache.window();
  }

  @Override
  public int startToken() {
    return encoded == null ? GOES_ON : model.config().encoder().startToken();
  }

  /**
   * The encoder's last hidden states [S, M] for a sequence, which stays in slot 0.
   *
   * @throws IllegalStateException without an encoder
   */
  public float[] encode(int[] text) {
    if (encoded == null) {
      throw new IllegalStateException("the model has no encoder");
    }
    return encoded.read(0, text);
  }

  @Override
  public List<String> adapters() {
    return model.choices();
  }

  @Override
  public List<RoutedLayer> layers() {
    return routes.layers();
  }

  private List<RoutedLayer> limited(int[] topK) {
    return new Routing(false, false, Arrays.stream(topK).boxed().toList()).of(routes.layers());
  }

  @Override
  public void routes(int rank, int row, float[] into) {
    routes(row, into);
  }

  /** Routes of this rank's row in the latest step. */
  void routes(int row, float[] into) {
    step.routes.copy(row, into);
  }

  /** Floats of a row's routes in the latest step. */
  int routeWidth() {
    return step.layout.width();
  }

  /** Routes of all rows that this rank has computed. */
  RouteCounts counts() {
    return counts;
  }

  @Override
  public RouteStatistics statistics() {
    return counts.statistics();
  }

  @Override
  public int firstNonFiniteLayer(int[] tokens, int count, int[] topK) {
    if (encoded != null) {
      return -1; // the tokens do not show which encoded sequence they belong to
    }
    return NonFiniteLayer.of(
        backend, model, keyValues, tokens, count, stepTokens, mostExperts(topK));
  }

  /** Experts per row for each layer; null for the gates' own K. */
  private int[] mostExperts(int[] topK) {
    if (topK == null) {
      return null;
    }
    int[] most = new int[model.config().layers()];
    limited(topK).forEach(layer -> most[layer.layer()] = layer.topK());
    return most;
  }

  @Override
  public void close() {
    recorder.close();
    drop(step);
    if (captured != step) {
      drop(captured);
    }
    scope.close();
  }

  /** A computed step with its memory, and its kernels if they were captured. */
  private final class Step implements AutoCloseable {
    private final int rows;
    private final AdapterRows adapters; // null: no row has one
    private final AdapterRows wantedAdapters;
    private final TensorScope activations = TensorScope.shared(backend);
    private final int[] topK;
    private final RouteLayout layout;
    private final RouteTables routes;
    private final KernelGraph graph;
    private final Tensor output;
    private final int shape;
    private Tensor gathered;

    Step(StepRows first, boolean capture, Together together) {
      rows = first.count;
      adapters = inputs.adapters(first);
      wantedAdapters = inputs.wantedAdapters(first);
      shape = together.shape();
      topK = first.topK;
      layout = topK == null ? ModelRunner.this.routes : new RouteLayout(limited(topK));
      try {
        routes = new RouteTables(activations, layout, rows);
        boolean hidden = first.hidden;
        int width = hidden ? model.config().hidden() : model.config().outputs();
        output = activations.allocate(DType.FLOAT32, first.wantedCount, width);
        inputs.fill(first);
        Tensor wanted = first.wantedCount == rows ? null : inputs.wanted(rows, first.wantedCount);
        if (capture) {
          graph = backend.capture(() -> compute(wanted, false, together));
        } else {
          graph = null;
          compute(wanted, hidden, together);
        }
      } catch (RuntimeException | Error e) {
        activations.close();
        throw e;
      }
    }

    /**
     * @param wanted the rows that are asked for; null for all
     * @param hidden whether for their hidden states
     */
    private void compute(Tensor wanted, boolean hidden, Together together) {
      Pass pass =
          Pass.inference(backend, activations)
              .observedBy(routes)
              .limitedTo(mostExperts(topK))
              .inSlots(together.mostRows())
              .withAdapters(adapters);
      Tensor slots = inputs.slots(rows);
      Tensor positions = inputs.positions(rows);
      Sequences.Source source = encoded == null ? null : encoded.of(slots);
      Sequences sequences =
          new Sequences.Running(cache, inputs.table(), slots, positions, positions, source);
      Tensor states = model.hidden(pass, inputs.tokens(rows), sequences, null, false);
      if (output.count() > 0) {
        Tensor last = wanted == null ? states : EmbeddingOp.forward(pass, wanted, states);
        if (hidden) {
          backend.cast(last, output);
        } else {
          Pass ofWanted = pass.withAdapters(wantedAdapters);
          model.head().logitsInto(ofWanted, model.head().scaled(pass, last), output);
        }
      }
      gathered = together.gather.apply(activations, output);
    }

    /** Whether its kernels compute the next step too. */
    boolean repeats(StepRows next) {
      return rows == next.count
          && (adapters != null) == next.adapted
          && Arrays.equals(topK, next.topK);
    }

    void replay(StepRows next) {
      inputs.fill(next);
      graph.replay();
    }

    @Override
    public void close() {
      if (graph != null) {
        graph.close();
      }
      activations.close();
    }
  }
}
