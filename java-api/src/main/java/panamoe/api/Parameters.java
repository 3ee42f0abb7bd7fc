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
 * all FLOAT32. One of several ranks has its own experts and slices. As all of a device, they serve
 * one thread at a time; methods that compute or access memory throw {@link IllegalStateException}
 * otherwise, and when the layer or model is closed.
 */
public final class Parameters {
  private final ParameterStore store;
  private final Backend backend;
  private final Lifetime lifetime;
  private final Map<String, Parameter> parameters = new LinkedHashMap<>();
  // Those in BFLOAT16 whose FLOAT32 memory callers have, and may change at any time.
  private final Set<Parameter> lent = new LinkedHashSet<>();
  private long sums;
  // True after a backward failed when it had added to some gradients.
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
    store.parameters().forEach(parameter -> parameters.put(parameter.name(), parameter));
  }

  /**
   * The names in a fixed order, such as {@code moe.experts.up.weight} [E, F, M] of a layer, {@code
   * embedding.weight} [V, M] or {@code layers.1.moe.experts.up.weight} of a model.
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
   * closed. One in BFLOAT16 rounds a parameter whose memory was asked for before each of its uses;
   * {@link #write} does so once.
   *
   * @throws UnsupportedOperationException on a card, as {@link #gradient} does: the memory is the
   *     card's; copy by {@link #read} and {@link #write}
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

  /** The memory of a parameter's gradient, to which every backward of a step adds. */
  public MemorySegment gradient(String name) {
    return lifetime.use(() -> inPlace(find(name).gradient()));
  }

  private static MemorySegment inPlace(Tensor tensor) {
    if (!tensor.onHost()) {
      throw new UnsupportedOperationException(
          "parameters and gradients are in the card's memory, which only its kernels can access:"
              + " copy them by read, write, readGradient and writeGradient");
    }
    return tensor.data();
  }

  /**
   * Copies a parameter, on any device.
   *
   * @param into exactly as many FLOAT32 as the parameter has, off-heap or of a {@code float[]}
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
   * Sets a parameter's gradient to a copy of {@code from}, on any device: a clipped one, or a sum
   * that another framework made.
   */
  public void writeGradient(String name, MemorySegment from) {
    lifetime.run(() -> CallersMemory.write(find(name).gradient(), "from", from));
  }

  /** Sets all gradients to zero. */
  public void zeroGradients() {
    lifetime.run(
        () -> {
          store.zeroGradients();
          backend.synchronize(); // callers may hold and write this memory already
          torn = false;
        });
  }

  /**
   * Replaces every gradient by the sum over the ranks that hold the parameter, which all call this
   * after their backwards; alone it changes nothing. {@link AdamW#step} does so itself.
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

  /** Rounds what callers may have changed. Call it before kernels read parameters. */
  void round() {
    lent.forEach(this::round);
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
   * Runs a backward. If it fails, further ones are refused until the gradients are zeroed.
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
   * @throws IllegalStateException if a backward failed and left a part of the gradients
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
