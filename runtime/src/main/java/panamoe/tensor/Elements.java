package panamoe.tensor;

import java.io.IOException;
import java.lang.foreign.MemorySegment;

/** What a file takes of a tensor. It need not be in memory before its elements are asked for. */
public interface Elements {
  /** Takes elements, row by row; their memory is there during the call alone. */
  @FunctionalInterface
  interface Reader {
    void read(MemorySegment elements) throws IOException;
  }

  DType dtype();

  /** A copy of the shape. */
  long[] shape();

  /** Bytes of the elements. */
  default long bytes() {
    return dtype().bytes(Tensor.count(shape()));
  }

  /** Passes the elements to a reader, in one or more pieces; its exceptions pass through. */
  void readBy(Reader reader) throws IOException;
}
