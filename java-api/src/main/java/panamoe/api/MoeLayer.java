package panamoe.api;

import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.backend.Routes;
import panamoe.nn.Parameter;
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
  private final Map<String, Parameter> parameters = new LinkedHashMap<>();

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
    store.parameters().forEach(parameter -> parameters.put(parameter.name(), parameter));
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
    return List.copyOf(parameters.keySet());
  }

  /**
   * The shape of a parameter.
   *
   * @throws PanamoeException.BadArgument if there is no such parameter; so do the methods below
   */
  public long[] shape(String parameter) {
    return find(parameter).shape();
  }

  /** A parameter's memory, to read and to write; valid until the layer is closed. */
  public MemorySegment parameter(String name) {
    return PanamoeException.translating(() -> find(name).master().data());
  }

  /** The memory of a parameter's gradient, which every {@link Step#backward} adds to. */
  public MemorySegment gradient(String name) {
    return PanamoeException.translating(() -> find(name).gradient().data());
  }

  /** Sets all gradients to zero. */
  public void zeroGradients() {
    PanamoeException.translating(
        () -> {
          store.zeroGradients();
          return null;
        });
  }

  /**
   * Evaluates the layer; deterministic.
   *
   * @param x [tokens, hidden]
   * @param y [tokens, hidden], receives the output; not x
   * @throws PanamoeException.BadArgument if a segment is on the heap, too small or misaligned
   */
  public void forward(MemorySegment x, MemorySegment y, long tokens) {
    PanamoeException.translating(
        () -> {
          try (TensorScope scope = TensorScope.confined(device.backend())) {
            Pass pass = Pass.inference(device.backend(), scope);
            Tensor output = borrow(scope, y, tokens);
            layer.forwardInto(pass, borrow(scope, x, tokens), null, output);
            device.backend().synchronize();
            giveBack(output, y);
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
   * @throws PanamoeException.BadArgument if a segment is on the heap, too small or misaligned
   */
  public Step train(MemorySegment x, MemorySegment y, long tokens, long seed) {
    return PanamoeException.translating(() -> new Step(x, y, tokens, seed));
  }

  @Override
  public void close() {
    store.close();
  }

  /** The caller's [tokens, hidden] itself, or a copy on a device that works on its own memory alone. */
  private Tensor borrow(TensorScope scope, MemorySegment segment, long tokens) {
    Tensor callers = scope.wrap(segment, DType.FLOAT32, tokens, settings.hidden());
    if (!device.backend().asynchronous()) {
      return callers;
    }
    Tensor copy = scope.allocate(DType.FLOAT32, callers.shape());
    copy.data().copyFrom(callers.data());
    return copy;
  }

  /** Makes what was written to a borrowed tensor the caller's. */
  private void giveBack(Tensor borrowed, MemorySegment segment) {
    if (device.backend().asynchronous()) {
      MemorySegment.copy(borrowed.data(), 0, segment, 0, borrowed.bytes());
    }
  }

  private Parameter find(String name) {
    Parameter parameter = parameters.get(name);
    if (parameter == null) {
      throw new PanamoeException.BadArgument(
          "no parameter is called " + name + "; there are " + parameterNames(), null);
    }
    return parameter;
  }

  /** One forward in training, and its backward. Used and closed by the thread that made it. */
  public final class Step implements AutoCloseable {
    private final TensorScope scope = TensorScope.confined(device.backend());
    private final Tape tape = new Tape(device.backend());
    private final long tokens;
    private final Tensor input;
    private final Tensor output;
    private long[] load = {};
    private double auxiliaryLoss;
    private boolean done;

    private Step(MemorySegment x, MemorySegment y, long tokens, long seed) {
      this.tokens = tokens;
      try {
        store.watch(tape);
        this.input = borrow(scope, x, tokens);
        this.output = borrow(scope, y, tokens);
        Pass pass =
            Pass.training(device.backend(), scope, tape, seed, 1).observedBy((_, routes) -> look(routes));
        layer.forwardInto(pass, input, null, output);
        device.backend().synchronize();
        giveBack(output, y);
      } catch (RuntimeException | Error e) {
        scope.close();
        throw e;
      }
    }

    private void look(Routes routes) {
      load = new long[routes.experts()];
      for (int e = 0; e < load.length; e++) {
        load[e] = routes.counts().getInt(e);
      }
      auxiliaryLoss = routes.losses().getFloat(0);
    }

    /** Tokens that asked for each expert, before any were dropped. */
    public long[] tokensPerExpert() {
      return load.clone();
    }

    /** The load balancing loss before its coefficient: 1 when perfectly even. Its gradient is part of the backward. */
    public double auxiliaryLoss() {
      return auxiliaryLoss;
    }

    /**
     * Adds the parameters' gradients to theirs, and writes that of the input.
     *
     * @param dy [tokens, hidden], gradient of the output
     * @param dx [tokens, hidden], receives the gradient of x; not dy
     * @throws PanamoeException.BadArgument if a segment is on the heap, too small or misaligned
     * @throws IllegalStateException at a second call
     */
    public void backward(MemorySegment dy, MemorySegment dx) {
      if (done) {
        throw new IllegalStateException("backward was already called on this step");
      }
      PanamoeException.translating(
          () -> {
            Tensor gradient = borrow(scope, dx, tokens);
            device.backend().fill(0, gradient);
            tape.addGradient(input, gradient);
            tape.addGradient(output, borrow(scope, dy, tokens));
            done = true;
            tape.backward();
            device.backend().synchronize();
            giveBack(gradient, dx);
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
