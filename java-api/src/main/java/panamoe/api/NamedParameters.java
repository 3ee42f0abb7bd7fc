package panamoe.api;

import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.backend.Backend;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;

/** The parameters of a layer or model for callers: memory and gradient by name. */
final class NamedParameters {
  private final ParameterStore store;
  private final Backend backend;
  private final Lifetime lifetime;
  private final Map<String, Parameter> parameters = new LinkedHashMap<>();
  // True after a backward failed when it had added to some gradients.
  private boolean torn;

  /**
   * @param store materialized in FLOAT32 for training, so that kernels read callers' writes
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
    return PanamoeException.translating(() -> find(name).shape());
  }

  MemorySegment value(String name) {
    return lifetime.use(() -> find(name).master().data());
  }

  MemorySegment gradient(String name) {
    return lifetime.use(() -> find(name).gradient().data());
  }

  /**
   * Refuses output memory that overlaps a parameter or gradient.
   *
   * @throws IllegalArgumentException if the segment overlaps one
   */
  void requireApart(String argument, MemorySegment segment) {
    for (Parameter parameter : parameters.values()) {
      CallersMemory.requireApart(argument, segment, parameter.name(), parameter.master().data());
      CallersMemory.requireApart(
          argument, segment, "the gradient of " + parameter.name(), parameter.gradient().data());
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
    if (torn) {
      throw new IllegalStateException(
          "an earlier backward failed after it had added to some gradients: call zeroGradients first");
    }
    torn = true;
    backward.run();
    torn = false;
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
