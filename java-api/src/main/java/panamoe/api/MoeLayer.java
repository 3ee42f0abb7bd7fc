package panamoe.api;

import java.lang.foreign.MemorySegment;
import java.util.Map;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Lifetime;
import panamoe.config.FeedForwardConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.io.ConfigJson;
import panamoe.io.Words;
import panamoe.nn.Work;
import panamoe.op.NotFinite;
import panamoe.op.Pass;
import panamoe.param.Declarations;
import panamoe.param.ParameterStore;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * One Mixture-of-Experts layer for another framework. It computes on the framework's off-heap
 * memory and exposes its parameters and gradients by name for the framework's optimizer.
 *
 * <p>Tokens are rows of width {@code hidden}: x, y and their gradients have the layer's {@link
 * Precision}, parameters and their gradients are always FLOAT32. All memory is row-major, native,
 * and aligned to its elements. Only one thread at a time may call a {@link Device} and what was
 * created on it. A caller's arena cannot be closed during a call. Memory mapped from a file is
 * copied first, except for a view of a {@code MappedByteBuffer} as floats, which the JVM cannot
 * recognise: its file must not be truncated during a call.
 *
 * {@snippet file="panamoe/api/MoeLayerExample.java" region="layer"}
 */
public final class MoeLayer implements AutoCloseable {
  private static final float INITIAL_DEVIATION = 0.02f;

  private final Device device;
  private final LayerSettings settings; // null for a layer of a configuration
  private final int hidden;
  private final Precision precision;
  private final panamoe.moe.MoeLayer layer;
  private final Lifetime lifetime;
  private final Parameters parameters;

  private MoeLayer(
      Device device,
      LayerSettings settings,
      int hidden,
      MoeConfig config,
      Execution execution,
      long seed) {
    this.device = device;
    this.settings = settings;
    this.hidden = hidden;
    ParameterStore store =
        new ParameterStore(
            Argument.notNull("execution", execution)
                .alikeOn(device, config, Map.of("hidden", hidden, "seed", seed)));
    this.precision = execution.precision();
    this.layer =
        new panamoe.moe.MoeLayer(
            Declarations.of(store, INITIAL_DEVIATION, "moe"), 0, hidden, config);
    try {
      store.materialize(device.backend(), precision.dtype(), true, seed);
      store.requireSameReplicas();
    } catch (RuntimeException | Error e) {
      store.close();
      throw e;
    }
    this.lifetime = device.lifetime().begin("the layer", store::close);
    this.parameters = new Parameters(store, device.backend(), lifetime);
  }

  /**
   * Creates a layer with random parameters from {@code seed}; all experts differ.
   *
   * @throws PanamoeException.BadArgument if an argument is null
   * @throws IllegalStateException if the device is closed or in use by another thread; all methods
   *     below that compute or access memory throw it too, and after {@link #close}
   */
  public static MoeLayer create(Device device, LayerSettings settings, long seed) {
    return create(device, settings, Execution.FLOAT32, seed);
  }

  /**
   * Creates a layer in another precision or on several ranks. Each rank calls this with the same
   * settings and seed.
   *
   * @throws PanamoeException.BadArgument also if the layer does not divide among the ranks
   * @throws PanamoeException.RanksFailed if a rank's settings or seed differ from the others'
   */
  public static MoeLayer create(
      Device device, LayerSettings settings, Execution execution, long seed) {
    return Device.lifetimeOf(device)
        .use(
            () -> {
              MoeConfig config = Argument.notNull("settings", settings).toConfig();
              return new MoeLayer(device, settings, settings.hidden(), config, execution, seed);
            });
  }

  /**
   * A new layer from a configuration, with all options of a model's layers, also those that {@link
   * LayerSettings} does not have.
   *
   * @param hidden M, width of a token
   * @param config JSON of a {@code feedForward} of the kind {@code MOE}, as in {@code config.json};
   *     docs/models.md lists its keys
   * @throws PanamoeException.BadArgument if the configuration is invalid; the message names the key
   * @throws IllegalStateException like {@link #create(Device, LayerSettings, long)}
   */
  public static MoeLayer create(Device device, int hidden, String config, long seed) {
    return create(device, hidden, config, Execution.FLOAT32, seed);
  }

  /** Creates a layer from a configuration, in another precision or on several ranks. */
  public static MoeLayer create(
      Device device, int hidden, String config, Execution execution, long seed) {
    return Device.lifetimeOf(device)
        .use(
            () -> {
              ModelConfig.requireHidden(hidden);
              FeedForwardConfig read =
                  ConfigJson.parse(
                      Argument.notNull("config", config), FeedForwardConfig.class, "config");
              if (!(read instanceof MoeConfig)) {
                throw new IllegalArgumentException("config: kind is \"DENSE\", expected \"MOE\"");
              }
              return new MoeLayer(device, null, hidden, (MoeConfig) read, execution, seed);
            });
  }

  /**
   * The settings of the layer.
   *
   * @throws IllegalStateException if it was created from a configuration
   */
  public LayerSettings settings() {
    if (settings == null) {
      throw new IllegalStateException("the layer was made of a configuration, not of settings");
    }
    return settings;
  }

  /** The device that the layer was created on. */
  public Device device() {
    return device;
  }

  /** M, the width of a token. */
  public int hidden() {
    return hidden;
  }

  /** The type of the elements of x, y and their gradients. */
  public Precision precision() {
    return precision;
  }

  /** The parameters and gradients by name. */
  public Parameters parameters() {
    return parameters;
  }

  /**
   * Evaluates the layer; deterministic.
   *
   * @param x [tokens, hidden]
   * @param y [tokens, hidden], receives the output; must overlap neither x nor a parameter or
   *     gradient
   * @throws PanamoeException.BadArgument if a segment is null, on the heap, too small, misaligned,
   *     confined to another thread, or read-only but an output, if y overlaps x, a parameter or a
   *     gradient, or if there are more than 2^31 - 1 tokens
   * @throws PanamoeException.Diverged if a gate's input is not finite because x or the weights are
   *     not
   * @throws IllegalStateException if the arena of a segment is closed before or during the call
   * @throws OutOfMemoryError if the tokens' activations do not fit; nothing was computed
   */
  public void forward(MemorySegment x, MemorySegment y, long tokens) {
    forward(x, null, y, tokens);
  }

  /**
   * Runs the layer on tokens with padding.
   *
   * @param used UINT8 [tokens], 0 marks padding, which no expert sees; null for no padding
   */
  public void forward(MemorySegment x, MemorySegment used, MemorySegment y, long tokens) {
    lifetime.run(
        () -> {
          try (TensorScope scope = TensorScope.confined(device.backend())) {
            CallersMemory memory = new CallersMemory(device.backend(), scope);
            compute(Pass.inference(device.backend(), scope), memory, new Rows(x, used, y, tokens));
          }
        });
  }

  /**
   * Refuses more tokens than kernels can index.
   *
   * @throws IllegalArgumentException if there are too many, or the number is negative
   */
  static void requireTokens(long tokens) {
    Argument.require(
        tokens >= 0 && tokens <= Integer.MAX_VALUE,
        "tokens",
        tokens,
        "0 to " + Integer.MAX_VALUE + " in a call");
  }

  /**
   * A caller's tokens.
   *
   * @param x [tokens, hidden]
   * @param used UINT8 [tokens], or null
   * @param y [tokens, hidden], receives the output
   */
  record Rows(MemorySegment x, MemorySegment used, MemorySegment y, long tokens) {}

  /** The tensors of x and y in a computation. */
  record Computed(Tensor input, Tensor output) {}

  /** Runs the layer on rows. */
  Computed compute(Pass pass, CallersMemory memory, Rows rows) {
    long tokens = rows.tokens;
    requireTokens(tokens);
    Tensor input = memory.input("x", precision.dtype(), rows.x, tokens, hidden);
    Tensor used = rows.used == null ? null : memory.mask("used", rows.used, tokens);
    Tensor output = memory.output("y", precision.dtype(), rows.y, tokens, hidden);
    CallersMemory.requireApart("y", rows.y, "x", rows.x);
    parameters.requireApart("y", rows.y);
    Work work =
        pass.recording()
            ? Work.training(1, tokens, precision.dtype())
            : Work.prefill(tokens, precision.dtype());
    work = work.over(parameters.store().ranks().topology());
    memory.requireRoom(layer.cost(work), work);
    parameters.round();
    try {
      memory.compute(() -> layer.forwardInto(pass, input, used, output));
    } catch (NotFinite e) {
      throw new PanamoeException.Diverged(
          Words.of(
              "the layer gets or computes numbers that are not finite (%s)",
              e.getCause().getMessage()),
          e);
    }
    memory.giveBack("y", output, rows.y);
    return new Computed(input, output);
  }

  /**
   * Runs the layer for training and keeps what the backward needs until the step is closed.
   *
   * @param x [tokens, hidden]; must not change until the backward, nor overlap a parameter's
   *     gradient, which the backward changes
   * @param y [tokens, hidden], receives the output; must overlap neither x nor a parameter or
   *     gradient
   * @param seed of the gate's random numbers, if its rules use any
   * @throws PanamoeException.BadArgument like {@link #forward}, or if x overlaps a gradient
   * @throws PanamoeException.Diverged like {@link #forward}
   * @throws IllegalStateException like {@link #forward}
   */
  public LayerStep train(MemorySegment x, MemorySegment y, long tokens, long seed) {
    return train(x, null, y, tokens, seed);
  }

  /**
   * Starts a step on tokens with padding.
   *
   * @param used UINT8 [tokens], 0 marks padding, which counts in no statistic and no loss; null for
   *     no padding
   */
  public LayerStep train(
      MemorySegment x, MemorySegment used, MemorySegment y, long tokens, long seed) {
    return lifetime.use(() -> new LayerStep(this, new Rows(x, used, y, tokens), seed));
  }

  /**
   * Closes the layer and its steps. Idempotent.
   *
   * @throws IllegalStateException if a call of its device is running, or a native call of the
   *     caller uses a parameter's memory; the layer then stays open
   */
  @Override
  public void close() {
    lifetime.close();
  }

  Lifetime lifetime() {
    return lifetime;
  }
}
