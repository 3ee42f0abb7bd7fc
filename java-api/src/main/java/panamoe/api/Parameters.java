package panamoe.api;

import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.api.internal.Lifetime;
import panamoe.backend.Backend;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.tensor.Tensor;

/**
 * The parameters of a {@link MoeLayer} or a {@link TrainableModel} by name, and their gradients,
 * all FLOAT32. Each rank has its own experts and slices. One thread at a time may call them, like
 * everything on a device; methods that compute or access memory throw {@link IllegalStateException}
 * otherwise, and when the layer or model is closed.
 */
public final class Parameters {
  private final ParameterStore store;
  private final Backend backend;
  private final Lifetime lifetime;
  private final Map<String, Parameter> parameters = new LinkedHashMap<>();
  // BFLOAT16 parameters whose FLOAT32 memory callers have, and may change at any time.
  private final Set<Parameter> lent = new LinkedHashSet<>();
  private long sums;
  // A failed backward left partial gradients.
  private boolean torn;

  /**
   * @param store materialized for training
   * @param backend of the store
   * @param lifetime of the layer or model
   */
  Parameters(ParameterStore store, Backend backend, Lifetime lifetime) {
    this.store = store;
    this.backend = backend;
    this.lifetime = lifetime;
    store.trained().forEach(parameter -> parameters.put(parameter.name(), parameter));
  }

  /**
   * The names in a fixed order, such as {@code moe.experts.up.weight} [E, F, M] of a layer, {@code
   * embedding.weight} [V, M] or {@code layers.1.moe.experts.up.weight} of a model. A model with
   * {@link Adapters} has theirs alone: {@code layers.1.moe.experts.up.weight.lora_a} [E, r, M] and
   * {@code ….lora_b} [E, F, r].
   */
  public List<String> names() {
    return List.copyOf(parameters.keySet());
  }

  /**
   * The shape of a parameter.
   *
   * @throws PanamoeException.BadArgument if no parameter has this name; {@link #value} and {@link
   *     #gradient} throw it too
   */
  public long[] shape(String name) {
    return Failures.translating(() -> find(name).shape());
  }

  /**
   * A parameter's memory, to read and write. The JVM refuses access once the layer or model is
   * closed. In BFLOAT16, a parameter whose memory was handed out is rounded before each of its
   * uses; {@link #write} rounds once.
   *
   * @throws UnsupportedOperationException on a GPU, like {@link #gradient}: the memory is on the
   *     GPU; copy by {@link #read} and {@link #write}
   */
  public MemorySegment value(String name) {
    return lifetime.use(
        () -> {
          Parameter parameter = find(name);
          MemorySegment memory = inPlace(parameter.master());
          if (parameter.value() != parameter.master()) {
            lent.add(parameter);
          }
          return memory;
        });
  }

  /** The memory of a parameter's gradient, to which each backward of a step adds. */
  public MemorySegment gradient(String name) {
    return lifetime.use(() -> inPlace(find(name).gradient()));
  }

  private static MemorySegment inPlace(Tensor tensor) {
    if (!tensor.onHost()) {
      throw new UnsupportedOperationException(
          "parameters and gradients are in the GPU's memory, which only its kernels can access:"
              + " copy them by read, write, readGradient and writeGradient");
    }
    return tensor.data();
  }

  /**
   * Copies a parameter, on any device.
   *
   * @param into exactly the parameter's number of FLOAT32, off-heap or of a {@code float[]}
   * @throws PanamoeException.BadArgument if no parameter has this name, or the segment is null, of
   *     another size, read-only, confined to another thread, or maps a file that was truncated;
   *     {@link #write}, {@link #readGradient} and {@link #writeGradient} throw it too
   */
  public void read(String name, MemorySegment into) {
    lifetime.run(() -> CallersMemory.read(find(name).master(), "into", into));
  }

  /** Copies a parameter's gradient, on any device. */
  public void readGradient(String name, MemorySegment into) {
    lifetime.run(() -> CallersMemory.read(find(name).gradient(), "into", into));
  }

  /** Sets a parameter to a copy of {@code from}, on any device. */
  public void write(String name, MemorySegment from) {
    lifetime.run(
        () -> {
          Parameter parameter = find(name);
          CallersMemory.write(parameter.master(), "from", from);
          round(parameter);
        });
  }

  /**
   * Sets a parameter's gradient to a copy of {@code from}, on any device: for example a clipped
   * gradient, or a sum by another framework.
   */
  public void writeGradient(String name, MemorySegment from) {
    lifetime.run(() -> CallersMemory.write(find(name).gradient(), "from", from));
  }

  /** Sets all gradients to zero. */
  public void zeroGradients() {
    lifetime.run(
        () -> {
          store.zeroGradients();
          backend.synchronize(); // callers may have its memory and write to it already
          torn = false;
        });
  }

  /**
   * Replaces every gradient by its sum over the ranks that hold the parameter. All ranks call it
   * after their backwards; on one rank it changes nothing. {@link AdamW#step} does it itself.
   *
   * @throws PanamoeException.RanksFailed if a rank has other values of a parameter that it shares,
   *     as after an optimizer with other settings: looked for in the first call, then every 64
   */
  public void sumGradients() {
    lifetime.run(
        () -> {
          if (sums++ % ParameterStore.COMPARED_EVERY == 0) {
            store.requireSameReplicas();
          }
          for (Parameter parameter : parameters.values()) {
            parameter.replicas().at("the gradient of " + parameter.name());
            parameter.replicas().allReduce(parameter.gradient());
          }
          backend.synchronize();
        });
  }

  ParameterStore store() {
    return store;
  }

  /** Rounds what callers may have changed, before kernels read parameters. */
  void round() {
    if (!lent.isEmpty()) {
      lent.forEach(this::round);
    }
  }

  private void round(Parameter parameter) {
    if (parameter.value() != parameter.master()) {
      backend.cast(parameter.master(), parameter.value());
    }
  }

  /**
   * Refuses output memory that overlaps a parameter or gradient.
   *
   * @throws IllegalArgumentException if the segment overlaps one
   */
  void requireApart(String argument, MemorySegment segment) {
    for (Parameter parameter : parameters.values()) {
      CallersMemory.requireApart(argument, segment, parameter.name(), parameter.master().address());
    }
    requireApartFromGradients(argument, segment);
  }

  /**
   * Refuses memory that a backward reads, if the backward would change it.
   *
   * @throws IllegalArgumentException if the segment overlaps a gradient
   */
  void requireApartFromGradients(String argument, MemorySegment segment) {
    for (Parameter parameter : parameters.values()) {
      CallersMemory.requireApart(
          argument, segment, "the gradient of " + parameter.name(), parameter.gradient().address());
    }
  }

  /**
   * Runs a backward. After a failure, further ones are refused until the gradients are zeroed.
   *
   * @throws IllegalStateException if an earlier one failed
   */
  void addGradients(Runnable backward) {
    requireComplete();
    torn = true;
    backward.run();
    torn = false;
  }

  /**
   * @throws IllegalStateException if a failed backward left partial gradients
   */
  void requireComplete() {
    if (torn) {
      throw new IllegalStateException(
          "an earlier backward failed after it had added to some gradients: call zeroGradients first");
    }
  }

  private Parameter find(String name) {
    Parameter parameter = parameters.get(Argument.notNull("name", name));
    if (parameter == null) {
      throw new IllegalArgumentException(
          "no parameter is called " + name + "; there are " + names());
    }
    return parameter;
  }
}
