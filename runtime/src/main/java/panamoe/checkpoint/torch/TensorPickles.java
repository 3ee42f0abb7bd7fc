package panamoe.checkpoint.torch;

import java.util.Arrays;
import java.util.List;
import panamoe.checkpoint.StoredType;

/** Tensors as a pickle describes them. */
record TensorPickles(PickleInput in) {
  private static final int MOST_DIMENSIONS = 8;

  /**
   * A storage, which tensors may share.
   *
   * @param key name of the entry
   */
  private record Storage(StoredType type, String key, long count) {}

  /** A persistent id: {@code ('storage', torch.FloatStorage, '0', 'cpu', 12)}. */
  Object storage(Object id) {
    if (id instanceof List<?> parts
        && parts.size() == 5
        && "storage".equals(parts.get(0))
        && parts.get(1) instanceof PickleGlobal(PickleGlobal.Kind kind, StoredType type)
        && kind == PickleGlobal.Kind.STORAGE
        && parts.get(2) instanceof String key
        && key.matches("\\d{1,9}")
        && parts.get(4) instanceof Long count
        && count >= 0) {
      return new Storage(type, key, count);
    }
    throw in.bad("has a storage that is none");
  }

  /** {@code (storage, first element, size, stride, requires_grad, hooks)}; row-major ones only. */
  TorchTensor tensor(List<?> arguments) {
    if (arguments.size() < 6
        || !(arguments.get(0) instanceof Storage storage)
        || !(arguments.get(1) instanceof Long begin)) {
      throw in.bad("has a tensor that is none");
    }
    long[] shape = numbers(arguments.get(2));
    long[] stride = numbers(arguments.get(3));
    if (shape.length != stride.length) {
      throw in.bad("has a tensor of " + shape.length + " sizes and " + stride.length + " strides");
    }
    long count = Arrays.stream(shape).anyMatch(size -> size == 0) ? 0 : 1;
    for (int i = shape.length - 1; i >= 0; i--) {
      if (shape[i] > 1 && count > 0 && stride[i] != count) {
        throw in.bad("has a tensor that is not row-major");
      }
      if (count > 0 && count > storage.count / shape[i]) {
        throw in.bad("has a tensor of more elements than its storage's " + storage.count);
      }
      count *= shape[i];
    }
    if (begin < 0 || begin > storage.count - count) {
      throw in.bad("has a tensor that ends after its storage");
    }
    return new TorchTensor(storage.type, storage.key, begin, shape, count);
  }

  /** {@code (tensor, requires_grad, hooks)}. */
  TorchTensor parameter(List<?> arguments) {
    if (!arguments.isEmpty() && arguments.getFirst() instanceof TorchTensor tensor) {
      return tensor;
    }
    throw in.bad("has a parameter that is no tensor");
  }

  private long[] numbers(Object tuple) {
    if (tuple instanceof List<?> items
        && items.size() <= MOST_DIMENSIONS
        && items.stream().allMatch(item -> item instanceof Long size && size >= 0)) {
      return items.stream().mapToLong(item -> (Long) item).toArray();
    }
    throw in.bad("has a tensor whose sizes are none");
  }
}
