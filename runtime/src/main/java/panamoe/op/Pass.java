package panamoe.op;

import java.util.function.Consumer;
import panamoe.backend.Backend;
import panamoe.comm.Communicator;
import panamoe.comm.SelfCommunicator;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * One traversal of a model: where kernels run, where activations live, whether gradients are
 * wanted, whether the model trains or is evaluated, and where random numbers come from. Used by one
 * thread.
 */
public final class Pass {
  /**
   * @param training whether the model trains; else it is evaluated
   * @param seed of random numbers
   * @param share the part of an optimizer step that the batch is
   */
  private record Purpose(boolean training, long seed, float share) {
    static final Purpose EVALUATION = new Purpose(false, 0, 1);
  }

  private final Backend backend;
  private final TensorScope scope;
  private final Tape tape;
  private final Purpose purpose;
  private final RouteObserver observer;
  private final Communicator batch;
  private final int[] topK;
  private long randomOffset;
  private LayerSums layers; // null: no gradients are wanted

  private Pass(
      Backend backend,
      TensorScope scope,
      Tape tape,
      Purpose purpose,
      RouteObserver observer,
      Communicator batch,
      int[] topK) {
    this.backend = backend;
    this.scope = scope;
    this.tape = tape;
    this.purpose = purpose;
    this.observer = observer;
    this.batch = batch;
    this.topK = topK;
    this.layers = tape == null ? null : new LayerSums();
  }

  /**
   * A pass that records on {@code tape}, with noise and token selection drawn from {@code seed}.
   *
   * @param share the batch's part of the step, 1 / micro-batches: the factor of losses that are
   *     means over a batch
   */
  public static Pass training(
      Backend backend, TensorScope scope, Tape tape, long seed, float share) {
    return new Pass(
        backend,
        scope,
        tape,
        new Purpose(true, seed, share),
        RouteObserver.NONE,
        SelfCommunicator.WORLD,
        null);
  }

  /** A deterministic pass without gradients. */
  public static Pass inference(Backend backend, TensorScope scope) {
    return new Pass(
        backend, scope, null, Purpose.EVALUATION, RouteObserver.NONE, SelfCommunicator.WORLD, null);
  }

  /**
   * A deterministic pass that records on {@code tape}: gradients of the model as it is evaluated.
   */
  public static Pass evaluation(Backend backend, TensorScope scope, Tape tape) {
    return new Pass(
        backend, scope, tape, Purpose.EVALUATION, RouteObserver.NONE, SelfCommunicator.WORLD, null);
  }

  /** The same pass, telling {@code newObserver} of every gate's decision. */
  public Pass observedBy(RouteObserver newObserver) {
    return new Pass(backend, scope, tape, purpose, newObserver, batch, topK);
  }

  /**
   * The same pass, whose rows go to fewer experts.
   *
   * @param most experts of a row by layer, at most the gate's own K; null: as many as gates choose
   */
  public Pass limitedTo(int[] most) {
    return new Pass(backend, scope, tape, purpose, observer, batch, most);
  }

  /** Experts that a row is sent to in a layer whose gate chooses {@code own}. */
  public int topK(int layer, int own) {
    return topK == null ? own : topK[layer];
  }

  /**
   * The same pass over one part of a batch whose other, equal parts the other members of {@code
   * ranks} see.
   */
  public Pass partOf(Communicator ranks) {
    return new Pass(backend, scope, tape, purpose, observer, ranks, topK);
  }

  /**
   * The ranks that see the other parts of this pass's batch; itself alone unless {@link #partOf}
   * said otherwise.
   */
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

  /** The part of an optimizer step that this pass's batch is. */
  public float share() {
    return purpose.share;
  }

  public Tensor allocate(DType dtype, long... shape) {
    return scope.allocate(dtype, shape);
  }

  /**
   * Fresh uniform numbers in [0, 1), FLOAT32, the next of this pass's stream. A part of a batch
   * gets what its tokens would get in the whole batch.
   */
  public Tensor uniform(long... shape) {
    Tensor numbers = scope.allocate(DType.FLOAT32, shape);
    backend.randomUniform(purpose.seed, draw(numbers.count()), numbers);
    return numbers;
  }

  /** Standard Gumbel noise, FLOAT32, made of the numbers that {@link #uniform} would give. */
  public Tensor gumbel(long... shape) {
    Tensor numbers = scope.allocate(DType.FLOAT32, shape);
    backend.randomGumbel(purpose.seed, draw(numbers.count()), numbers);
    return numbers;
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

  /** What the gates of all layers have chosen in this pass; null if no gradients are wanted. */
  LayerSums layers() {
    return layers;
  }

  /** The seed of this pass's stream of random numbers. */
  long seed() {
    return purpose.seed;
  }

  /** The place of the next {@code count} numbers in this pass's stream, which moves behind them. */
  long draw(long count) {
    long place = randomOffset + batch.rank() * count;
    randomOffset += batch.size() * count;
    return place;
  }

  /**
   * A pass that will draw the numbers that this one draws from here on, in other memory and on
   * another tape. The second time a segment runs nobody observes it.
   */
  Pass replayed(TensorScope otherScope, Tape otherTape, RouteObserver otherObserver) {
    Pass pass = new Pass(backend, otherScope, otherTape, purpose, otherObserver, batch, topK);
    pass.randomOffset = randomOffset;
    pass.layers = layers;
    return pass;
  }

  /** Continues this pass's random stream where {@code other} stopped. */
  void continueAfter(Pass other) {
    randomOffset = other.randomOffset;
  }
}
