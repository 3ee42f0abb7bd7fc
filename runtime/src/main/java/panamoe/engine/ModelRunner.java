package panamoe.engine;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.backend.AttentionSettings;
import panamoe.backend.Backend;
import panamoe.backend.Recording;
import panamoe.model.LanguageModel;
import panamoe.nn.KeyValueCache;
import panamoe.nn.Sequences;
import panamoe.op.EmbeddingOp;
import panamoe.op.Pass;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Computes the steps of a model with a paged key/value cache. A row's logits do not depend on the
 * other rows of its step, nor on the blocks that its sequence has.
 *
 * <p>A step of as many rows as the one before, all of them wanted, as in writing, is recorded and
 * replayed from then on without allocating Java objects. Used by one thread at a time.
 */
public final class ModelRunner implements StepRunner {
  private final Backend backend;
  private final LanguageModel model;
  private final TensorScope scope;
  private final KeyValueCache cache;
  private final Tensor table;
  private final int perSequence;
  private RecordedStep recorded;
  private int rowsBefore;
  private Tensor logits;
  private TensorScope logitsScope;

  /**
   * @param config of the cache, which is allocated here
   * @throws IllegalArgumentException if the model cannot generate
   */
  public ModelRunner(Backend backend, LanguageModel model, EngineConfig config) {
    boolean full =
        model.config().blocks().stream()
            .anyMatch(block -> block.attention().scores().mask() == AttentionSettings.Mask.FULL);
    if (full) {
      throw new IllegalArgumentException(
          "a model with a FULL mask cannot generate: a later token would change earlier ones");
    }
    this.backend = backend;
    this.model = model;
    this.perSequence = config.blocksOf(model.config().context());
    this.scope = TensorScope.shared(backend);
    try {
      this.cache = model.cache(scope, config.blocks(), config.blockSize());
      this.table = scope.zeros(DType.INT32, config.sequences(), perSequence);
    } catch (RuntimeException | Error e) {
      scope.close();
      throw e;
    }
  }

  /**
   * The logits [V] of the token after {@code tokens}, which are one or more.
   *
   * @param model packed for inference
   */
  public static float[] nextLogits(Backend backend, LanguageModel model, int... tokens) {
    int count = tokens.length;
    float[] logits = new float[model.config().vocabulary()];
    try (ModelRunner runner =
        new ModelRunner(backend, model, new EngineConfig(1, count, 1, count, 0, false))) {
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
   * @throws IllegalArgumentException if a row has no place in the cache, or a token is none
   */
  public void run(StepRows rows) {
    for (int i = 0; i < rows.changedSlots.size(); i++) {
      long place = (long) rows.changedSlots.get(i) * perSequence + rows.changedIndices.get(i);
      table.setInt(place, rows.changedBlocks.get(i));
    }
    boolean writes = rows.wantedCount == rows.count;
    if (writes && recorded != null && recorded.rows == rows.count) {
      recorded.replay(rows);
      logits = recorded.logits;
    } else if (writes && rowsBefore == rows.count) {
      dropRecorded();
      recorded = new RecordedStep(rows);
      logits = recorded.logits;
    } else {
      compute(rows);
    }
    rowsBefore = writes ? rows.count : 0;
    backend.synchronize();
  }

  private void compute(StepRows rows) {
    if (logitsScope != null) {
      logitsScope.close();
      logitsScope = null;
    }
    try (TensorScope activations = TensorScope.confined(backend)) {
      Tensor tokens = activations.allocate(DType.INT32, rows.count);
      Tensor slots = activations.allocate(DType.INT32, rows.count);
      Tensor positions = activations.allocate(DType.INT32, rows.count);
      fill(rows, tokens, slots, positions);
      Pass pass = Pass.inference(backend, activations);
      Tensor hidden = forward(pass, tokens, slots, positions);
      if (rows.wantedCount == 0) {
        return;
      }
      Tensor wanted = activations.allocate(DType.INT32, rows.wantedCount);
      for (int i = 0; i < rows.wantedCount; i++) {
        wanted.setInt(i, rows.wanted[i]);
      }
      logitsScope = TensorScope.confined(backend);
      logits = logitsScope.allocate(DType.FLOAT32, rows.wantedCount, model.config().vocabulary());
      model.logitsInto(pass, EmbeddingOp.forward(pass, wanted, hidden, null, null), logits);
    }
  }

  private Tensor forward(Pass pass, Tensor tokens, Tensor slots, Tensor positions) {
    Sequences sequences = new Sequences.Running(cache, table, slots, positions);
    return model.forward(pass, tokens, sequences, null, false);
  }

  private static void fill(StepRows rows, Tensor tokens, Tensor slots, Tensor positions) {
    for (int i = 0; i < rows.count; i++) {
      tokens.setInt(i, rows.tokens[i]);
      slots.setInt(i, rows.slots[i]);
      positions.setInt(i, rows.positions[i]);
    }
  }

  @Override
  public void logits(int rank, int wanted, float[] into) {
    logits(wanted, into);
  }

  /** As above, of this rank. */
  public void logits(int wanted, float[] into) {
    long bytes = (long) into.length * Float.BYTES;
    MemorySegment.copy(logits.data(), ValueLayout.JAVA_FLOAT, wanted * bytes, into, 0, into.length);
  }

  private void dropRecorded() {
    if (recorded != null) {
      recorded.close();
      recorded = null;
    }
  }

  @Override
  public void close() {
    dropRecorded();
    if (logitsScope != null) {
      logitsScope.close();
    }
    scope.close();
  }

  /** The kernel calls of a step of some number of rows, with their memory. */
  private final class RecordedStep implements AutoCloseable {
    private final int rows;
    private final TensorScope activations = TensorScope.shared(backend);
    private final Tensor tokens;
    private final Tensor slots;
    private final Tensor positions;
    private final Recording calls;
    private Tensor logits;

    /** Computes a step and records it. */
    RecordedStep(StepRows first) {
      rows = first.count;
      try {
        tokens = activations.allocate(DType.INT32, rows);
        slots = activations.allocate(DType.INT32, rows);
        positions = activations.allocate(DType.INT32, rows);
        fill(first, tokens, slots, positions);
        calls =
            backend.record(
                () -> {
                  Pass pass = Pass.inference(backend, activations);
                  logits = model.logits(pass, forward(pass, tokens, slots, positions));
                });
      } catch (RuntimeException | Error e) {
        activations.close();
        throw e;
      }
    }

    void replay(StepRows next) {
      fill(next, tokens, slots, positions);
      calls.replay();
    }

    @Override
    public void close() {
      calls.close();
      activations.close();
    }
  }
}
