package panamoe.api;

import java.lang.foreign.MemorySegment;
import java.util.List;
import panamoe.nn.ParameterStore;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * One Mixture-of-Experts layer for another framework: it computes on the framework's own off-heap memory, and lays its
 * parameters and their gradients open by name, for the framework's optimizer.
 *
 * <p>All memory is FLOAT32, row-major, native, aligned to 4 bytes. Tokens are rows of width {@code hidden}. A layer is
 * used by one thread at a time, that of its device.
 *
 * {@snippet file="panamoe/api/MoeLayerExample.java" region="layer"}
 */
public final class MoeLayer implements AutoCloseable {
  private static final float INITIAL_DEVIATION = 0.02f;

  private final Device device;
  private final LayerSettings settings;
  private final ParameterStore store = new ParameterStore();
  private final panamoe.moe.MoeLayer layer;
  private final NamedParameters parameters;

  private MoeLayer(Device device, LayerSettings settings, long seed) {
    this.device = device;
    this.settings = settings;
    this.layer =
        new panamoe.moe.MoeLayer(store, "moe", 0, settings.toConfig(), INITIAL_DEVIATION, INITIAL_DEVIATION);
    try {
      store.materialize(device.backend(), DType.FLOAT32, true, seed);
    } catch (RuntimeException | Error e) {
      store.close();
      throw e;
    }
    this.parameters = new NamedParameters(store);
  }

  /**
   * A layer with fresh parameters, drawn from {@code seed}; no two experts start alike.
   *
   * @throws PanamoeException.BadArgument if the settings do not fit each other
   */
  public static MoeLayer create(Device device, LayerSettings settings, long seed) {
    return PanamoeException.translating(() -> new MoeLayer(device, settings, seed));
  }

  public LayerSettings settings() {
    return settings;
  }

  /** Names of the parameters, e.g. {@code moe.experts.up.weight} [E, F, M], in a fixed order. */
  public List<String> parameterNames() {
    return parameters.names();
  }

  /**
   * The shape of a parameter.
   *
   * @throws PanamoeException.BadArgument if there is no such parameter; so do the methods below
   */
  public long[] shape(String parameter) {
    return parameters.shape(parameter);
  }

  /** A parameter's memory, to read and to write; valid until the layer is closed. */
  public MemorySegment parameter(String name) {
    return parameters.value(name);
  }

  /** The memory of a parameter's gradient, which every {@link Step#backward} adds to. */
  public MemorySegment gradient(String name) {
    return parameters.gradient(name);
  }

  /** Sets all gradients to zero. */
  public void zeroGradients() {
    parameters.zeroGradients();
  }

  /**
   * Evaluates the layer; deterministic.
   *
   * @param x [tokens, hidden]
   * @param y [tokens, hidden], receives the output; not x
   * @throws PanamoeException.BadArgument if a segment is on the heap, too small, misaligned, another thread's, or
   *     read-only where a result goes
   */
  public void forward(MemorySegment x, MemorySegment y, long tokens) {
    PanamoeException.translating(
        () -> {
          try (TensorScope scope = TensorScope.confined(device.backend())) {
            Pass pass = Pass.inference(device.backend(), scope);
            Tensor output = output(scope, y, tokens);
            layer.forwardInto(pass, input(scope, x, tokens), null, output);
            device.backend().synchronize();
            CallersMemory.giveBack(device.backend(), output, y);
          }
          return null;
        });
  }

  /**
   * Runs the layer for training and keeps what the backward needs, until the step is closed.
   *
   * @param x [tokens, hidden]; must stay as it is until the backward
   * @param y [tokens, hidden], receives the output
   * @param seed of the gate's random numbers, where its rules draw any
   * @throws PanamoeException.BadArgument if a segment is on the heap, too small, misaligned, another thread's, or
   *     read-only where a result goes
   */
  public Step train(MemorySegment x, MemorySegment y, long tokens, long seed) {
    return PanamoeException.translating(() -> new Step(x, y, tokens, seed));
  }

  @Override
  public void close() {
    store.close();
  }

  private Tensor input(TensorScope scope, MemorySegment segment, long tokens) {
    return CallersMemory.input(device.backend(), scope, segment, DType.FLOAT32, tokens, settings.hidden());
  }

  private Tensor output(TensorScope scope, MemorySegment segment, long tokens) {
    return CallersMemory.output(device.backend(), scope, segment, tokens, settings.hidden());
  }

  /** One forward in training, and its backward. Used and closed by the thread that made it. */
  public final class Step implements AutoCloseable {
    private final TensorScope scope = TensorScope.confined(device.backend());
    private final Tape tape = new Tape(device.backend());
    private final long tokens;
    private final Tensor input;
    private final Tensor output;
    private final MemorySegment x;
    private final GateLoads loads = new GateLoads();
    private boolean done;

    private Step(MemorySegment x, MemorySegment y, long tokens, long seed) {
      this.tokens = tokens;
      this.x = x;
      try {
        store.watch(tape);
        this.input = input(scope, x, tokens);
        this.output = output(scope, y, tokens);
        Pass pass = Pass.training(device.backend(), scope, tape, seed, 1).observedBy(loads);
        layer.forwardInto(pass, input, null, output);
        device.backend().synchronize();
        CallersMemory.giveBack(device.backend(), output, y);
      } catch (RuntimeException | Error e) {
        scope.close();
        throw e;
      }
    }

    /** Tokens that asked for each expert, before any were dropped. */
    public long[] tokensPerExpert() {
      return loads.tokensPerExpert(0);
    }

    /** The load balancing loss before its coefficient: 1 when perfectly even. Its gradient is part of the backward. */
    public double auxiliaryLoss() {
      return loads.auxiliaryLoss();
    }

    /**
     * Adds the parameters' gradients to theirs, and writes that of the input.
     *
     * @param dy [tokens, hidden], gradient of the output
     * @param dx [tokens, hidden], receives the gradient of x; not dy
     * @throws PanamoeException.BadArgument if a segment is on the heap, too small, misaligned, another thread's, or
     *     read-only where a result goes
     * @throws IllegalStateException at a second call, or if the arena of x was closed
     */
    public void backward(MemorySegment dy, MemorySegment dx) {
      if (done) {
        throw new IllegalStateException("backward was already called on this step");
      }
      PanamoeException.translating(
          () -> {
            CallersMemory.requireAlive(x);
            Tensor gradient = output(scope, dx, tokens);
            device.backend().fill(0, gradient);
            tape.addGradient(input, gradient);
            tape.addGradient(output, input(scope, dy, tokens));
            done = true;
            tape.backward();
            device.backend().synchronize();
            CallersMemory.giveBack(device.backend(), gradient, dx);
            return null;
          });
    }

    /** Frees what the backward would need. Idempotent. */
    @Override
    public void close() {
      scope.close();
    }
  }
}
