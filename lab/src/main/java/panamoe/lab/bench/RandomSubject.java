package panamoe.lab.bench;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;

/** Weights of one shape that are drawn from a seed. */
abstract class RandomSubject implements Subject {
  final Backend backend;
  final LayerShape shape;
  final DType dtype;
  final long seed;
  private final List<ParameterStore> stores = new ArrayList<>();

  RandomSubject(Backend backend, LayerShape shape, DType dtype, long seed) {
    this.backend = backend;
    this.shape = shape;
    this.dtype = dtype;
    this.seed = seed;
  }

  /** Holds weights until this subject is closed. */
  final ParameterStore store() {
    stores.add(new ParameterStore());
    return stores.getLast();
  }

  @Override
  public final void close() {
    stores.forEach(ParameterStore::close);
  }
}
