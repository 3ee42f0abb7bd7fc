package panamoe.api;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import panamoe.api.internal.Access;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Lifetime;
import panamoe.config.EarlierForms;
import panamoe.config.ModelConfig;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.DistillationOp;
import panamoe.op.Gradient;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * A language model for another framework. It reads tokens from the framework's off-heap memory and
 * exposes its parameters and gradients by name for the framework's optimizer. The module
 * panamoe-text generates with models.
 *
 * <p>A batch is {@code batch} sequences of {@code length} tokens, one after the other: token ids
 * and targets are INT32 [batch, length], a target of -1 does not count. Parameters, gradients and
 * logits are FLOAT32. All memory is row-major, native, aligned to 4 bytes. Token ids are copied; a
 * caller's arena cannot be closed during a call. Only one thread at a time may call a {@link
 * Device} and what was created on it.
 *
 * {@snippet file="panamoe/api/TrainableModelExample.java" region="model"}
 */
public final class TrainableModel implements AutoCloseable {
  private static final int NO_TARGET = -1;

  private final Device device;
  private final ModelSettings settings; // null where a configuration said it all
  private final LanguageModel model;
  private final Lifetime lifetime;
  private final NamedParameters parameters;

  private TrainableModel(Device device, ModelSettings settings, ModelConfig config, long seed) {
    this.device = device;
    this.settings = settings;
    this.model = new LanguageModel(config);
    try {
      model.materialize(device.backend(), DType.FLOAT32, true, seed);
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
    this.lifetime = device.lifetime().begin("the model", model::close);
    this.parameters = new NamedParameters(model.parameters(), device.backend(), lifetime);
  }

  /**
   * Creates a model with random parameters from {@code seed}.
   *
   * @throws PanamoeException.BadArgument if settings contradict each other
   * @throws IllegalStateException if the device is closed or in use by another thread; all methods
   *     below that compute or access memory throw it too, and after {@link #close}
   */
  public static TrainableModel create(Device device, ModelSettings settings, long seed) {
    return Access.lifetimeOf(device)
        .use(
            () -> {
              ModelConfig config = Argument.notNull("settings", settings).toConfig();
              return new TrainableModel(device, settings, config, seed);
            });
  }

  /**
   * A model with fresh parameters that a configuration describes, block by block.
   *
   * @param config JSON as {@code config.json} has it under {@code model}; docs/models.md lists its
   *     keys
   * @throws PanamoeException.BadArgument if the configuration is invalid; the message names the key
   * @throws IllegalStateException as {@link #create(Device, ModelSettings, long)}
   */
  public static TrainableModel create(Device device, String config, long seed) {
    return Access.lifetimeOf(device)
        .use(
            () -> {
              ModelConfig read = EarlierForms.parse(Argument.notNull("config", config), "config");
              return new TrainableModel(device, null, read, seed);
            });
  }

  /**
   * What the model was made of.
   *
   * @throws IllegalStateException if that was a configuration
   */
  public ModelSettings settings() {
    if (settings == null) {
      throw new IllegalStateException("the model was made of a configuration, not of settings");
    }
    return settings;
  }

  /** The number of parameters. */
  public long parameterCount() {
    return model.parameters().count();
  }

  /**
   * The parameters' names in a fixed order, such as {@code embedding.weight} [V, M] or {@code
   * layers.1.moe.experts.up.weight} [E, F, M].
   */
  public List<String> parameterNames() {
    return parameters.names();
  }

  /**
   * The shape of a parameter.
   *
   * @throws PanamoeException.BadArgument if no parameter has this name; {@link #parameter} and
   *     {@link #gradient} throw it too
   */
  public long[] shape(String parameter) {
    return parameters.shape(parameter);
  }

  /**
   * A parameter's FLOAT32 memory, to read and write. The JVM refuses access once the model is
   * closed.
   *
   * @throws UnsupportedOperationException on a card, as {@link #gradient} does: the memory is the
   *     card's; copy by {@link #readParameter} and {@link #writeParameter}
   */
  public MemorySegment parameter(String name) {
    return parameters.value(name);
  }

  /** The FLOAT32 memory of a parameter's gradient, to which every {@link Step#backward} adds. */
  public MemorySegment gradient(String name) {
    return parameters.gradient(name);
  }

  /**
   * Copies a parameter, on any device.
   *
   * @param into exactly as many FLOAT32 as the parameter has, off-heap or of a {@code float[]}
   * @throws PanamoeException.BadArgument if no parameter has this name, or the segment is null, of
   *     another size, read-only or confined to another thread; {@link #writeParameter} and {@link
   *     #readGradient} throw it too
   */
  public void readParameter(String name, MemorySegment into) {
    parameters.read(name, into);
  }

  /** Sets a parameter to a copy of {@code from}, on any device. */
  public void writeParameter(String name, MemorySegment from) {
    parameters.write(name, from);
  }

  /** Copies a parameter's gradient, on any device. */
  public void readGradient(String name, MemorySegment into) {
    parameters.readGradient(name, into);
  }

  /** Sets all gradients to zero. */
  public void zeroGradients() {
    parameters.zeroGradients();
  }

  /**
   * Evaluates the model; deterministic.
   *
   * @param tokens INT32 [batch, length], ids
   * @param logits FLOAT32 [batch, length, vocabulary], receives for every token the logits of its
   *     successor
   * @throws PanamoeException.BadArgument if a segment is null, on the heap, too small, misaligned
   *     or confined to another thread, the logits are read-only, an id is outside the vocabulary,
   *     or the batch is empty or its sequences longer than the context
   * @throws IllegalStateException if the arena of a segment is closed before or during the call
   */
  public void forward(MemorySegment tokens, MemorySegment logits, int batch, int length) {
    lifetime.run(
        () -> {
          try (TensorScope scope = TensorScope.confined(device.backend())) {
            CallersMemory memory = new CallersMemory(device.backend(), scope);
            Tensor ids = ids(memory, "tokens", tokens, batch, length);
            Tensor output =
                memory.output("logits", logits, ids.count(), model.config().vocabulary());
            Pass pass = Pass.inference(device.backend(), scope);
            memory.compute(() -> model.logitsInto(pass, hidden(pass, ids, length), output));
            memory.giveBack("logits", output, logits);
          }
        });
  }

  /**
   * The mean cross-entropy of the targets that count, in nats, of the model as {@link #forward}
   * evaluates it.
   *
   * @param tokens INT32 [batch, length], ids
   * @param targets INT32 [batch, length], for every token the id that follows it, or -1
   * @throws PanamoeException.BadArgument as in {@link #train}
   * @throws IllegalStateException as in {@link #train}
   */
  public double loss(MemorySegment tokens, MemorySegment targets, int batch, int length) {
    return lifetime.use(
        () -> {
          try (TensorScope scope = TensorScope.confined(device.backend())) {
            CallersMemory memory = new CallersMemory(device.backend(), scope);
            Tensor ids = ids(memory, "tokens", tokens, batch, length);
            Tensor wanted = ids(memory, "targets", targets, batch, length);
            long counted = counted(wanted);
            Pass pass = Pass.inference(device.backend(), scope);
            return mean(model.losses(pass, hidden(pass, ids, length), wanted, 0), counted);
          }
        });
  }

  /**
   * Runs the model for training and keeps what the backward needs, until the step is closed.
   *
   * @param tokens INT32 [batch, length], ids
   * @param targets INT32 [batch, length], for every token the id that follows it, or -1
   * @param seed of the gates' random numbers, if their rules use any
   * @throws PanamoeException.BadArgument if a segment is null, on the heap, too small, misaligned
   *     or confined to another thread, an id or a target is outside the vocabulary, no target
   *     counts, or the batch is empty or its sequences longer than the context
   * @throws IllegalStateException if the arena of a segment is closed
   */
  public Step train(MemorySegment tokens, MemorySegment targets, int batch, int length, long seed) {
    return lifetime.use(() -> new Step(tokens, targets, null, batch, length, seed));
  }

  /**
   * As {@link #train}, for a student that learns from a teacher as well: a token's loss is its
   * cross-entropy plus {@code alpha T^2 KL(softmax(t / T) || softmax(s / T))}, s and t the logits
   * of this model and of the teacher (DeepSpeed-MoE §4.2).
   *
   * @param teacherLogits FLOAT32 [batch, length, vocabulary], such as {@link #forward} gives
   * @param alpha 0 or more
   * @param temperature T, more than 0
   * @throws PanamoeException.BadArgument as in {@link #train}
   * @throws IllegalStateException as in {@link #train}
   */
  public Step distil(
      MemorySegment tokens,
      MemorySegment targets,
      MemorySegment teacherLogits,
      double alpha,
      double temperature,
      int batch,
      int length,
      long seed) {
    float weight = (float) (alpha * temperature * temperature);
    Taught taught = new Taught(teacherLogits, (float) temperature, weight);
    return lifetime.use(() -> new Step(tokens, targets, taught, batch, length, seed));
  }

  private record Taught(MemorySegment logits, float temperature, float weight) {}

  /**
   * Frees the parameters, their gradients and the steps. Idempotent.
   *
   * @throws IllegalStateException if a call of its device is running, or a native call of the
   *     caller uses a parameter's memory; the model then stays open
   */
  @Override
  public void close() {
    lifetime.close();
  }

  LanguageModel weights() {
    return model;
  }

  /** A flattened copy of the caller's [batch, length]. */
  private Tensor ids(
      CallersMemory memory, String name, MemorySegment segment, int batch, int length) {
    if (batch < 1) {
      throw new IllegalArgumentException("batch is " + batch + ", expected 1 or more");
    }
    if (length < 1 || length > model.config().context()) {
      throw new IllegalArgumentException(
          "length is "
              + length
              + ", expected 1 to "
              + model.config().context()
              + ", the model's context");
    }
    return memory.ids(name, segment, (long) batch * length);
  }

  /** The final hidden states [S, M] of S / {@code length} sequences. */
  private Tensor hidden(Pass pass, Tensor ids, int length) {
    Sequences whole = Sequences.Whole.of(pass.scope(), ids.count(), length);
    return model.forward(pass, ids, whole, null, false);
  }

  private static long counted(Tensor targets) {
    long counted = Arrays.stream(targets.toInts()).filter(target -> target != NO_TARGET).count();
    if (counted == 0) {
      throw new IllegalArgumentException(
          "all targets are -1: there is no loss to take the mean of");
    }
    return counted;
  }

  private double mean(Tensor losses, long counted) {
    double sum = 0;
    for (float loss : losses.toFloats()) {
      sum += loss;
    }
    return sum / counted;
  }

  /** One training forward and its backward. */
  public final class Step implements AutoCloseable {
    private final TensorScope scope = TensorScope.shared(device.backend());
    private final Tape tape = new Tape(device.backend());
    private final GateLoads loads = new GateLoads();
    private final Lifetime life;
    // The loss computes the output matrix's gradient in the forward; callers receive it with the
    // others in the backward.
    private final Tensor outputGradient;
    private final double loss;
    private final double divergence;
    private boolean done;

    private Step(
        MemorySegment tokens,
        MemorySegment targets,
        Taught taught,
        int batch,
        int length,
        long seed) {
      try {
        CallersMemory memory = new CallersMemory(device.backend(), scope);
        Tensor ids = ids(memory, "tokens", tokens, batch, length);
        Tensor wanted = ids(memory, "targets", targets, batch, length);
        long counted = counted(wanted);
        Pass pass = Pass.training(device.backend(), scope, tape, seed, 1).observedBy(loads);
        model.parameters().watch(tape);
        Tensor hidden = hidden(pass, ids, length);
        this.outputGradient = scope.allocate(DType.FLOAT32, model.head().shape());
        device.backend().fill(0, outputGradient);
        tape.watch(model.head().value(), new Gradient(device.backend(), outputGradient));
        float dloss = 1f / counted;
        if (taught == null) {
          this.loss = mean(model.losses(pass, hidden, wanted, dloss), counted);
          this.divergence = 0;
        } else {
          int classes = model.config().vocabulary();
          DistillationOp.Teacher teacher =
              new DistillationOp.Teacher(
                  taught.temperature,
                  taught.weight,
                  memory.input("teacherLogits", taught.logits, ids.count(), classes),
                  null);
          DistillationOp.Losses losses =
              DistillationOp.forward(pass, hidden, model.headWeight(), teacher, wanted, 0, dloss);
          this.loss = mean(losses.crossEntropies(), counted);
          this.divergence = mean(losses.divergences(), counted);
        }
        model.parameters().watch(tape);
        loads.read();
      } catch (RuntimeException | Error e) {
        scope.close();
        throw e;
      }
      this.life = lifetime.begin("the step", scope::close);
    }

    /**
     * The mean cross-entropy of the targets that count, in nats; without the load balancing losses.
     */
    public double loss() {
      return loss;
    }

    /**
     * The mean divergence from the teacher over the targets that count, in nats, without its
     * weight; 0 without a teacher, NaN if the teacher's logits have a NaN.
     */
    public double divergence() {
      return divergence;
    }

    /**
     * [E], the number of tokens routed to each expert of a layer, before dropping; empty for a
     * dense layer.
     *
     * @param layer from 0
     */
    public long[] tokensPerExpert(int layer) {
      return loads.tokensPerExpert(layer);
    }

    /**
     * The sum of the MoE layers' load balancing losses before their coefficient; 1 per layer is
     * perfect balance. The backward includes its gradient.
     */
    public double auxiliaryLoss() {
      return loads.auxiliaryLoss();
    }

    /**
     * Adds the gradients of {@code loss() + alpha T^2 divergence() + auxiliaryCoefficient *
     * auxiliaryLoss()} to the parameters' gradients. A backward that fails uses up the step, and
     * further ones are refused until {@link #zeroGradients}.
     *
     * @throws IllegalStateException at a second call
     */
    public void backward() {
      life.run(
          () -> {
            if (done) {
              throw new IllegalStateException("backward was already called on this step");
            }
            parameters.addGradients(
                () -> {
                  done = true;
                  Tensor sums = model.head().gradient();
                  device.backend().add(1, sums, 1, outputGradient, sums);
                  tape.backward();
                  device.backend().synchronize();
                });
          });
    }

    /**
     * Frees the memory kept for the backward. Idempotent; throws as {@link TrainableModel#close}
     * does.
     */
    @Override
    public void close() {
      life.close();
    }
  }
}
