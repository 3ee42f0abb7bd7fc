package panamoe.lab.bench;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;

/** Random weights of one shape, initialised from a seed. */
abstract class RandomBench implements Bench {
  final Backend backend;
  final LayerShape shape;
  final DType dtype;
  final long seed;
  private final List<ParameterStore> stores = new ArrayList<>();

  RandomBench(Backend backend, LayerShape shape, DType dtype, long seed) {
    this.backend = backend;
    this.shape = shape;
    this.dtype = dtype;
    this.seed = seed;
  }

  /** The store of the weights, which lives until close. */
  final ParameterStore store() {
    stores.add(new ParameterStore());
    return stores.getLast();
  }

  @Override
  public final void close() {
    stores.forEach(ParameterStore::close);
  }
}
