package panamoe.checkpoint.torch;

import java.util.Arrays;
import panamoe.checkpoint.StoredType;

/**
 * A tensor's shape and place in a file of {@code torch.save}.
 *
 * @param storage name of the entry with its elements
 * @param begin index of its first element in the storage
 * @param shape sizes of its dimensions, empty for a scalar; not to be changed
 */
public record TorchTensor(StoredType type, String storage, long begin, long[] shape, long count) {
  @Override
  public String toString() {
    return type + Arrays.toString(shape);
  }
}
