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
import panamoe.op.RouteObserver;
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
  private final RouteObserver observer;
  private final TensorScope scope;
  private final KeyValueCache cache;
  private final Tensor table;
  private final int perSequence;
  // The latest step, and the latest recorded one, which may be the same.
  private Step step;
  private Step recorded;
  private int rowsBefore;

  /**
   * @param config of the cache, which is allocated here
   * @throws IllegalArgumentException if the model cannot generate
   */
  public ModelRunner(Backend backend, LanguageModel model, EngineConfig config) {
    this(backend, model, config, RouteObserver.NONE);
  }

  /**
   * As above, with an observer of all steps but replayed ones, which overwrite the routes of the
   * step that was recorded.
   */
  public ModelRunner(
      Backend backend, LanguageModel model, EngineConfig config, RouteObserver observer) {
    boolean full =
        model.config().blocks().stream()
            .anyMatch(block -> block.attention().scores().mask() == AttentionSettings.Mask.FULL);
    if (full) {
      throw new IllegalArgumentException(
          "a model with a FULL mask cannot generate: a later token would change earlier ones");
    }
    this.backend = backend;
    this.model = model;
    this.observer = observer;
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
   * @throws IllegalArgumentException if a row has no place in the cache, or a token is not in the
   *     vocabulary
   */
  public void run(StepRows rows) {
    boolean writes = rows.wantedCount == rows.count;
    changeTable(rows);
    if (writes && recorded != null && recorded.rows == rows.count) {
      recorded.replay(rows);
      become(recorded);
    } else if (writes && rowsBefore == rows.count) {
      drop(recorded);
      recorded = null; // if this fails
      recorded = new Step(rows, true);
      become(recorded);
    } else {
      become(new Step(rows, false));
    }
    rowsBefore = writes ? rows.count : 0;
    backend.synchronize();
  }

  /**
   * Computes a step together with other ranks, whose experts may be needed: of no rows, perhaps,
   * and not recorded, because what ranks exchange differs from step to step.
   */
  void runTogether(StepRows rows) {
    changeTable(rows);
    become(new Step(rows, false));
    backend.synchronize();
  }

  private void changeTable(StepRows rows) {
    for (int i = 0; i < rows.changedSlots.size(); i++) {
      long place = (long) rows.changedSlots.get(i) * perSequence + rows.changedIndices.get(i);
      table.setInt(place, rows.changedBlocks.get(i));
    }
  }

  /** Takes the place of the latest step, which is freed unless it is kept for being repeated. */
  private void become(Step next) {
    if (step != recorded && step != next) {
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
  public void logits(int rank, int wanted, float[] into) {
    logits(wanted, into);
  }

  /** As above, of this rank. */
  public void logits(int wanted, float[] into) {
    copy(step.logits, wanted, into);
  }

  /** The logits [wanted rows, V] of the latest step, valid until the next one. */
  Tensor logits() {
    return step.logits;
  }

  static void copy(Tensor logits, long row, float[] into) {
    long start = row * into.length * Float.BYTES;
    MemorySegment.copy(logits.data(), ValueLayout.JAVA_FLOAT, start, into, 0, into.length);
  }

  @Override
  public void close() {
    drop(step);
    if (recorded != step) {
      drop(recorded);
    }
    scope.close();
  }

  /** A computed step with its memory, and its kernel calls if they were recorded. */
  private final class Step implements AutoCloseable {
    private final int rows;
    private final TensorScope activations = TensorScope.shared(backend);
    private final Tensor tokens;
    private final Tensor slots;
    private final Tensor positions;
    private final Recording calls;
    private Tensor logits;

    Step(StepRows first, boolean record) {
      rows = first.count;
      try {
        tokens = activations.allocate(DType.INT32, rows);
        slots = activations.allocate(DType.INT32, rows);
        positions = activations.allocate(DType.INT32, rows);
        fill(first);
        Tensor wanted = first.wantedCount == rows ? null : wanted(first);
        if (record) {
          calls = backend.record(() -> compute(wanted));
        } else {
          calls = null;
          compute(wanted);
        }
      } catch (RuntimeException | Error e) {
        activations.close();
        throw e;
      }
    }

    private Tensor wanted(StepRows first) {
      Tensor wanted = activations.allocate(DType.INT32, first.wantedCount);
      for (int i = 0; i < first.wantedCount; i++) {
        wanted.setInt(i, first.wanted[i]);
      }
      return wanted;
    }

    /**
     * @param wanted the rows whose logits are asked for; null: all
     */
    private void compute(Tensor wanted) {
      Pass pass = Pass.inference(backend, activations).observedBy(observer);
      Sequences sequences = new Sequences.Running(cache, table, slots, positions);
      Tensor hidden = model.forward(pass, tokens, sequences, null, false);
      if (wanted == null) {
        logits = model.logits(pass, hidden);
      } else if (wanted.count() > 0) {
        logits = model.logits(pass, EmbeddingOp.forward(pass, wanted, hidden, null, null));
      }
    }

    private void fill(StepRows next) {
      for (int i = 0; i < rows; i++) {
        tokens.setInt(i, next.tokens[i]);
        slots.setInt(i, next.slots[i]);
        positions.setInt(i, next.positions[i]);
      }
    }

    void replay(StepRows next) {
      fill(next);
      calls.replay();
    }

    @Override
    public void close() {
      if (calls != null) {
        calls.close();
      }
      activations.close();
    }
  }
}
