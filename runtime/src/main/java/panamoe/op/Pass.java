package panamoe.op;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import panamoe.backend.Backend;
import panamoe.comm.Communicator;
import panamoe.comm.SelfCommunicator;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * One traversal of a model: its backend, the scope of activations, the tape if gradients are
 * wanted, whether the model trains, and the random stream. Used by one thread.
 */
public final class Pass {
  /**
   * @param training whether the model trains; else it is evaluated
   * @param seed of random numbers
   * @param share the batch's share of an optimizer step
   * @param adapted whether adapters apply
   * @param adapters of rows, of a model with several; null: no row has one
   */
  private record Purpose(
      boolean training, long seed, float share, boolean adapted, AdapterRows adapters) {
    static final Purpose EVALUATION = new Purpose(false, 0, 1, true, null);
  }

  private final Backend backend;
  private final TensorScope scope;
  private final Tape tape;
  private final Purpose purpose;
  private final RouteObserver observer;
  private final RouteSource source; // null: gates choose
  private final Communicator batch;
  private final int[] topK;
  private final int mostRows;
  private final Map<List<Object>, Tensor> inTurn = new HashMap<>();
  private long randomOffset;
  private LayerSums layers; // null: no gradients are wanted

  private Pass(
      Backend backend,
      TensorScope scope,
      Tape tape,
      Purpose purpose,
      RouteObserver observer,
      RouteSource source,
      Communicator batch,
      int[] topK,
      int mostRows) {
    this.backend = backend;
    this.scope = scope;
    this.tape = tape;
    this.purpose = purpose;
    this.observer = observer;
    this.source = source;
    this.batch = batch;
    this.topK = topK;
    this.mostRows = mostRows;
    this.layers = tape == null ? null : new LayerSums(backend, scope);
  }

  /**
   * A pass that records on {@code tape}, whose noise and token selection depend on {@code seed}.
   *
   * @param share the batch's share of the step, 1 / micro-batches: the factor of losses that are
   *     means over a batch
   */
  public static Pass training(
      Backend backend, TensorScope scope, Tape tape, long seed, float share) {
    return new Pass(
        backend,
        scope,
        tape,
        new Purpose(true, seed, share, true, null),
        RouteObserver.NONE,
        null,
        SelfCommunicator.WORLD,
        null,
        0);
  }

  /** A deterministic pass without gradients. */
  public static Pass inference(Backend backend, TensorScope scope) {
    return new Pass(
        backend,
        scope,
        null,
        Purpose.EVALUATION,
        RouteObserver.NONE,
        null,
        SelfCommunicator.WORLD,
        null,
        0);
  }

  /** A deterministic pass that records on {@code tape}: gradients of the evaluated model. */
  public static Pass evaluation(Backend backend, TensorScope scope, Tape tape) {
    return new Pass(
        backend,
        scope,
        tape,
        Purpose.EVALUATION,
        RouteObserver.NONE,
        null,
        SelfCommunicator.WORLD,
        null,
        0);
  }

  /** This pass with {@code newObserver}, which gets every gate's decision. */
  public Pass observedBy(RouteObserver newObserver) {
    return new Pass(backend, scope, tape, purpose, newObserver, source, batch, topK, mostRows);
  }

  /**
   * This pass with the experts of {@code newSource} instead of the gates' choices; null: gates
   * choose.
   */
  public Pass routedBy(RouteSource newSource) {
    return new Pass(backend, scope, tape, purpose, observer, newSource, batch, topK, mostRows);
  }

  /** The experts of the rows in a layer, by {@link #routedBy}; null: its gate chooses. */
  public int[] experts(int layer) {
    return source == null ? null : source.experts(layer);
  }

  /**
   * This pass with fewer experts per row.
   *
   * @param most experts of a row by layer, at most the gate's own K; null: as many as gates choose
   */
  public Pass limitedTo(int[] most) {
    return new Pass(backend, scope, tape, purpose, observer, source, batch, most, mostRows);
  }

  /**
   * This pass with rows exchanged in slots, by {@link SlotExchangeOp}, if {@code most} is not 0.
   */
  public Pass inSlots(int most) {
    return new Pass(backend, scope, tape, purpose, observer, source, batch, topK, most);
  }

  /** The most rows that this or any other rank has, if they are exchanged in slots; otherwise 0. */
  public int mostRows() {
    return mostRows;
  }

  /** Experts per row in a layer whose gate chooses {@code own}. */
  public int topK(int layer, int own) {
    return topK == null ? own : topK[layer];
  }

  /** This pass through the model without its adapters. */
  public Pass unadapted() {
    Purpose plain = new Purpose(purpose.training, purpose.seed, purpose.share, false, null);
    return new Pass(backend, scope, tape, plain, observer, source, batch, topK, mostRows);
  }

  /**
   * This pass through a model with several adapters.
   *
   * @param rows which of them each row has; null: none
   */
  public Pass withAdapters(AdapterRows rows) {
    Purpose chosen =
        new Purpose(purpose.training, purpose.seed, purpose.share, purpose.adapted, rows);
    return new Pass(backend, scope, tape, chosen, observer, source, batch, topK, mostRows);
  }

  /** The adapters of rows, of a model with several; null: no row has one. */
  public AdapterRows adapters() {
    return purpose.adapters;
  }

  /** Whether adapters apply. */
  public boolean adapted() {
    return purpose.adapted;
  }

  /** This pass over one of the equal parts of a batch, the others of which {@code ranks} see. */
  public Pass partOf(Communicator ranks) {
    return new Pass(backend, scope, tape, purpose, observer, source, ranks, topK, mostRows);
  }

  /** The ranks that share this pass's batch; this rank alone unless {@link #partOf} set them. */
  public Communicator batch() {
    return batch;
  }

  public RouteObserver observer() {
    return observer;
  }

  public Backend backend() {
    return backend;
  }

  public TensorScope scope() {
    return scope;
  }

  /** The tape, or null when no gradients are wanted. */
  public Tape tape() {
    return tape;
  }

  public boolean recording() {
    return tape != null;
  }

  public boolean training() {
    return purpose.training;
  }

  /** The share of an optimizer step that this pass's batch is. */
  public float share() {
    return purpose.share;
  }

  public Tensor allocate(DType dtype, long... shape) {
    return scope.allocate(dtype, shape);
  }

  /**
   * Memory that layers use one after the other, if rows are exchanged in slots, which are many: the
   * same tensor for each call of a name and shape. Otherwise new memory.
   */
  public Tensor inTurn(String name, DType dtype, long rows, long width) {
    return mostRows == 0
        ? allocate(dtype, rows, width)
        : inTurn.computeIfAbsent(
            List.of(name, dtype, rows, width), _ -> allocate(dtype, rows, width));
  }

  /**
   * The next uniform numbers in [0, 1) of this pass's stream, FLOAT32. Tokens get the same numbers
   * in a part of a batch as in the whole batch.
   */
  public Tensor uniform(long... shape) {
    Tensor numbers = scope.allocate(DType.FLOAT32, shape);
    backend.randomUniform(purpose.seed, advance(numbers.count()), numbers);
    return numbers;
  }

  /** Standard Gumbel noise, FLOAT32, made of the numbers of {@link #uniform}. */
  public Tensor gumbel(long... shape) {
    Tensor numbers = scope.allocate(DType.FLOAT32, shape);
    backend.randomGumbel(purpose.seed, advance(numbers.count()), numbers);
    return numbers;
  }

  /** Releases an op's input that no backward reads, where gradients are wanted; null: none. */
  void used(Tensor input) {
    if (tape != null && input != null) {
      input.owner().release();
    }
  }

  /** Like {@link Tape#record(Runnable, Tensor...)}, where gradients are wanted. */
  void record(Runnable backward, Tensor... disposable) {
    if (tape != null) {
      tape.record(backward, disposable);
    }
  }

  /** Like {@link Tape#record(Tensor, Consumer, Tensor...)}, where gradients are wanted. */
  void record(Tensor y, Consumer<Tensor> backward, Tensor... saved) {
    if (tape != null) {
      tape.record(y, backward, saved);
    }
  }

  /** Sums over the choices of all layers' gates in this pass; null if no gradients are wanted. */
  LayerSums layers() {
    return layers;
  }

  /** The seed of this pass's stream of random numbers. */
  long seed() {
    return purpose.seed;
  }

  /**
   * The offset of the next {@code count} numbers in this pass's stream, which advances past them.
   */
  long advance(long count) {
    long place = randomOffset + batch.rank() * count;
    randomOffset += batch.size() * count;
    return place;
  }

  /**
   * A pass with this one's further random numbers, other memory and another tape, to recompute a
   * segment without an observer.
   */
  Pass replayed(TensorScope otherScope, Tape otherTape, RouteObserver otherObserver) {
    Pass pass =
        new Pass(
            backend, otherScope, otherTape, purpose, otherObserver, source, batch, topK, mostRows);
    pass.randomOffset = randomOffset;
    pass.layers = layers;
    return pass;
  }

  /** Continues this pass's random stream where {@code other} stopped. */
  void continueAfter(Pass other) {
    randomOffset = other.randomOffset;
  }
}
