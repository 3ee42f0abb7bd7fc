package panamoe.api;

import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.nn.Parameter;
import panamoe.nn.ParameterStore;

/** The parameters of a layer or a model as callers see them: memory and its gradient, by name. */
final class NamedParameters {
  private final ParameterStore store;
  private final Map<String, Parameter> parameters = new LinkedHashMap<>();

  /** @param store materialized in FLOAT32 for training, so that kernels read what callers write */
  NamedParameters(ParameterStore store) {
    this.store = store;
    store.parameters().forEach(parameter -> parameters.put(parameter.name(), parameter));
  }

  List<String> names() {
    return List.copyOf(parameters.keySet());
  }

  long[] shape(String name) {
    return find(name).shape();
  }

  MemorySegment value(String name) {
    return PanamoeException.translating(() -> find(name).master().data());
  }

  MemorySegment gradient(String name) {
    return PanamoeException.translating(() -> find(name).gradient().data());
  }

  void zeroGradients() {
    PanamoeException.translating(
        () -> {
          store.zeroGradients();
          return null;
        });
  }

  private Parameter find(String name) {
    Parameter parameter = parameters.get(name);
    if (parameter == null) {
      throw new PanamoeException.BadArgument("no parameter is called " + name + "; there are " + names(), null);
    }
    return parameter;
  }
}
