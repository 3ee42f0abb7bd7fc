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

/** The parameters of a layer or model for callers: memory and gradient by name. */
final class NamedParameters {
  private final ParameterStore store;
  private final Backend backend;
  private final Lifetime lifetime;
  private final Map<String, Parameter> parameters = new LinkedHashMap<>();
  // Those in BFLOAT16 whose FLOAT32 memory callers have, and may change at any time.
  private final Set<Parameter> lent = new LinkedHashSet<>();
  // True after a backward failed when it had added to some gradients.
  private boolean torn;

  /**
   * @param store materialized for training
   * @param backend of the store
   * @param lifetime of the layer or model
   */
  NamedParameters(ParameterStore store, Backend backend, Lifetime lifetime) {
    this.store = store;
    this.backend = backend;
    this.lifetime = lifetime;
    store.parameters().forEach(parameter -> parameters.put(parameter.name(), parameter));
  }

  List<String> names() {
    return List.copyOf(parameters.keySet());
  }

  long[] shape(String name) {
    return Failures.translating(() -> find(name).shape());
  }

  MemorySegment value(String name) {
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

  MemorySegment gradient(String name) {
    return lifetime.use(() -> inPlace(find(name).gradient()));
  }

  private static MemorySegment inPlace(Tensor tensor) {
    if (!tensor.onHost()) {
      throw new UnsupportedOperationException(
          "parameters and gradients are in the card's memory, which only its kernels can access:"
              + " copy them by readParameter, writeParameter and readGradient");
    }
    return tensor.data();
  }

  void read(String name, MemorySegment into) {
    lifetime.run(() -> read(find(name).master(), into));
  }

  void readGradient(String name, MemorySegment into) {
    lifetime.run(() -> read(find(name).gradient(), into));
  }

  private static void read(Tensor tensor, MemorySegment into) {
    CallersMemory.requireAlive("into", Argument.notNull("into", into));
    if (into.isReadOnly()) {
      throw new IllegalArgumentException("into is read-only, but receives a result");
    }
    tensor.copyTo(into);
  }

  void write(String name, MemorySegment from) {
    lifetime.run(
        () -> {
          CallersMemory.requireAlive("from", Argument.notNull("from", from));
          Parameter parameter = find(name);
          parameter.master().copyFrom(from);
          round(parameter);
        });
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

  /** Replaces every gradient by the sum over the ranks that hold the parameter. Collective. */
  void sumGradients() {
    lifetime.run(
        () -> {
          for (Parameter parameter : parameters.values()) {
            parameter.replicas().at("the gradient of " + parameter.name());
            parameter.replicas().allReduce(parameter.gradient());
          }
          backend.synchronize();
        });
  }

  /**
   * Refuses output memory that overlaps a parameter or gradient.
   *
   * @throws IllegalArgumentException if the segment overlaps one
   */
  void requireApart(String argument, MemorySegment segment) {
    for (Parameter parameter : parameters.values()) {
      CallersMemory.requireApart(argument, segment, parameter.name(), parameter.master().address());
      CallersMemory.requireApart(
          argument, segment, "the gradient of " + parameter.name(), parameter.gradient().address());
    }
  }

  void zeroGradients() {
    lifetime.run(
        () -> {
          store.zeroGradients();
          backend.synchronize(); // callers may hold and write this memory already
          torn = false;
        });
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
