package panamoe.tensor;

import java.io.IOException;
import java.lang.foreign.MemorySegment;

/** The contents of a tensor for a file. They may be computed when they are read. */
public interface Elements {
  /** Takes elements in row-major order; their memory is valid during the call only. */
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
