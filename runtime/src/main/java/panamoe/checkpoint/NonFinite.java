package panamoe.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Optional;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** Counts NaN and infinite values among weights. */
final class NonFinite {
  private long count;
  private int tensors;
  private String first;

  void scan(String name, Tensor tensor) {
    long found = tensor.dtype().isFloating() ? count(tensor) : 0;
    if (found > 0) {
      count += found;
      tensors++;
      first = first == null ? name + " (" + found + " values)" : first;
    }
  }

  /** One sentence with the counts; empty if all values were finite. */
  Optional<String> sentence(Path checkpoint) {
    if (tensors == 0) {
      return Optional.empty();
    }
    return Optional.of(
        checkpoint
            + " holds "
            + count
            + " NaN or infinite values in "
            + tensors
            + (tensors == 1 ? " tensor: " : " tensors, the first: ")
            + first);
  }

  private static long count(Tensor tensor) {
    MemorySegment data = tensor.data();
    long elements = tensor.count();
    long found = 0;
    // Not finite: all bits of the exponent are set.
    if (tensor.dtype() == DType.FLOAT32) {
      for (long i = 0; i < elements; i++) {
        found += (data.getAtIndex(ValueLayout.JAVA_INT, i) & 0x7f800000) == 0x7f800000 ? 1 : 0;
      }
    } else {
      for (long i = 0; i < elements; i++) {
        found += (data.getAtIndex(ValueLayout.JAVA_SHORT, i) & 0x7f80) == 0x7f80 ? 1 : 0;
      }
    }
    return found;
  }
}
