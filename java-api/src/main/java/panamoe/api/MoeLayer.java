package panamoe.api;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Consumer;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
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
import panamoe.tensor.DType;
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
  private final Precision precision;
  private final LayerFiles.Config config;
  private final ParameterStore store;
  private final panamoe.moe.MoeLayer layer;
  private final Lifetime lifetime;
  private final Parameters parameters; // null for inference alone

  /**
   * @param settings null for a layer of a configuration
   * @param training whether there are gradients
   * @param fill gives the parameters memory and values
   */
  private MoeLayer(
      Device device,
      LayerSettings settings,
      LayerFiles.Config config,
      Precision precision,
      panamoe.parallel.Ranks ranks,
      boolean training,
      Consumer<ParameterStore> fill) {
    this.device = device;
    this.settings = settings;
    this.config = config;
    this.precision = precision;
    this.store = new ParameterStore(ranks);
    this.layer =
        new panamoe.moe.MoeLayer(
            Declarations.of(store, INITIAL_DEVIATION, "moe"), 0, config.hidden(), config.moe());
    try {
      fill.accept(store);
    } catch (RuntimeException | Error e) {
      store.close();
      throw e;
    }
    this.lifetime = device.lifetime().begin("the layer", store::close);
    this.parameters = training ? new Parameters(store, device.backend(), lifetime) : null;
  }

  private static MoeLayer create(
      Device device,
      LayerSettings settings,
      LayerFiles.Config config,
      Execution execution,
      long seed) {
    panamoe.parallel.Ranks ranks =
        Argument.notNull("execution", execution)
            .alikeOn(device, config.moe(), Map.of("hidden", config.hidden(), "seed", seed));
    Precision precision = execution.precision();
    return new MoeLayer(
        device,
        settings,
        config,
        precision,
        ranks,
        true,
        store -> {
          store.materialize(device.backend(), precision.dtype(), true, seed);
          store.requireSameReplicas();
        });
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
              MoeConfig moe = Argument.notNull("settings", settings).toConfig();
              LayerFiles.Config config = new LayerFiles.Config(settings.hidden(), moe);
              return create(device, settings, config, execution, seed);
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
              return create(device, null, new LayerFiles.Config(hidden, read), execution, seed);
            });
  }

  /**
   * Opens a layer that {@link #save} wrote, for inference alone: its weights are packed for the
   * kernels, and there are no gradients. A layer takes 4 bytes for each parameter, in BFLOAT16 2.
   * It computes the bits of the layer that was saved.
   *
   * @throws PanamoeException.BadModel if the folder has no intact layer
   * @throws PanamoeException.BadArgument if an argument is null
   * @throws IllegalStateException like {@link #create(Device, LayerSettings, long)}
   */
  public static MoeLayer open(Device device, Path folder, Precision precision) {
    return read(device, folder, precision, false);
  }

  /**
   * Loads a layer that {@link #save} wrote, to train it further.
   *
   * @throws PanamoeException.BadModel if the folder has no intact layer
   * @throws PanamoeException.BadArgument if an argument is null
   * @throws IllegalStateException like {@link #create(Device, LayerSettings, long)}
   */
  public static MoeLayer load(Device device, Path folder, Precision precision) {
    return read(device, folder, precision, true);
  }

  private static MoeLayer read(Device device, Path folder, Precision precision, boolean training) {
    return Device.lifetimeOf(device)
        .use(
            () -> {
              DType dtype = Argument.notNull("precision", precision).dtype();
              LayerFiles.Found found = LayerFiles.find(folder);
              return new MoeLayer(
                  device,
                  null,
                  found.config(),
                  precision,
                  panamoe.parallel.Ranks.alone(),
                  training,
                  store -> found.read(store, device.backend(), dtype, training));
            });
  }

  /**
   * Saves the layer's configuration and parameters in a folder, which {@link #open} and {@link
   * #load} read. A crash at any moment leaves the layer that was saved there before intact.
   *
   * @throws PanamoeException.BadArgument if the folder is null, or several ranks hold the layer
   * @throws PanamoeException.BadModel if writing failed
   * @throws IllegalStateException also if the layer was opened for inference, or this program saves
   *     another one there at the same time
   */
  public void save(Path folder) {
    lifetime.run(
        () -> {
          requireTrains();
          LayerFiles.save(folder, config, store, device.backend());
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
    return config.hidden();
  }

  /** The type of the elements of x, y and their gradients. */
  public Precision precision() {
    return precision;
  }

  /**
   * The parameters and gradients by name.
   *
   * @throws IllegalStateException if the layer was opened for inference
   */
  public Parameters parameters() {
    requireTrains();
    return parameters;
  }

  private void requireTrains() {
    if (parameters == null) {
      throw new IllegalStateException(
          "the layer was opened for inference, with packed weights and without gradients: load it");
    }
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
   * Evaluates a FLOAT32 layer on arrays, which are copied to native memory and back.
   *
   * @param x [tokens, hidden]
   * @param y [tokens, hidden], receives the output; may be x
   * @throws PanamoeException.BadArgument if an array is null, x has no whole tokens, y has another
   *     length, or the layer is in BFLOAT16
   * @throws PanamoeException.Diverged like {@link #forward(MemorySegment, MemorySegment, long)}
   */
  public void forward(float[] x, float[] y) {
    Failures.run(
        () -> {
          Argument.require(precision == Precision.FLOAT32, "precision", precision, "FLOAT32");
          int length = Argument.notNull("x", x).length;
          Argument.require(
              length % hidden() == 0, "x.length", length, "a multiple of hidden, " + hidden());
          int room = Argument.notNull("y", y).length;
          Argument.require(room == length, "y.length", room, "that of x, " + length);
        });
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment input = arena.allocateFrom(ValueLayout.JAVA_FLOAT, x);
      MemorySegment output = arena.allocate(ValueLayout.JAVA_FLOAT, y.length);
      forward(input, output, x.length / hidden());
      MemorySegment.ofArray(y).copyFrom(output);
    }
  }

  /**
   * Prepares a forward on this memory, to be repeated without garbage. Computes it once.
   *
   * @param x [tokens, hidden], like {@link #forward(MemorySegment, MemorySegment, long)}
   * @param y [tokens, hidden], receives the output of each run
   * @throws PanamoeException.BadArgument like {@link #forward(MemorySegment, MemorySegment, long)},
   *     or if several ranks hold the layer
   * @throws PanamoeException.Diverged like {@link #forward(MemorySegment, MemorySegment, long)}
   * @throws IllegalStateException like {@link #forward(MemorySegment, MemorySegment, long)}
   */
  public PreparedForward prepare(MemorySegment x, MemorySegment y, long tokens) {
    return lifetime.use(
        () -> {
          Argument.require(
              store.ranks().world().size() <= 1, "ranks", store.ranks().world().size(), "one");
          return new PreparedForward(this, new Rows(x, null, y, tokens));
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
    Tensor input = memory.input("x", precision.dtype(), rows.x, tokens, hidden());
    Tensor used = rows.used == null ? null : memory.mask("used", rows.used, tokens);
    Tensor output = memory.output("y", precision.dtype(), rows.y, tokens, hidden());
    CallersMemory.requireApart("y", rows.y, "x", rows.x);
    if (parameters != null) { // otherwise nobody has the parameters' memory
      parameters.requireApart("y", rows.y);
    }
    Work work =
        pass.recording()
            ? Work.training(1, tokens, precision.dtype())
            : Work.prefill(tokens, precision.dtype());
    work = work.over(store.ranks().topology());
    memory.requireRoom(layer.cost(work), work);
    replay(memory, () -> layer.forwardInto(pass, input, used, output));
    memory.giveBack("y", output, rows.y);
    return new Computed(input, output);
  }

  /** Runs the kernels of a forward on the parameters as they are. */
  void replay(CallersMemory memory, Runnable kernels) {
    if (parameters != null) {
      parameters.round();
    }
    try {
      memory.compute(kernels);
    } catch (NotFinite e) {
      throw new PanamoeException.Diverged(
          Words.of(
              "the layer gets or computes numbers that are not finite (%s)",
              e.getCause().getMessage()),
          e);
    }
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
