package panamoe.backend.reference;

import java.lang.foreign.MemorySegment;
import panamoe.backend.AttentionKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.io.Words;
import panamoe.tensor.Tensor;

/** Columns of heads from one arrangement to another: copies, no arithmetic. */
interface ReferenceHeads extends AttentionKernels, ReferenceContext {

  @Override
  default void headCopy(boolean transpose, long from, long to, long count, Tensor x, Tensor y) {
    launch(
        () -> {
          Check.tensor("x", x, Kind.FLOATING, Check.ANY, Check.ANY, Check.ANY);
          int outer = transpose ? 1 : 0;
          Check.tensor("y", y, Kind.FLOATING, x.size(outer), x.size(1 - outer), Check.ANY);
          Check.sameDtype("x", x, "y", y);
          checkColumns("from", from, count, "x", x.size(2));
          checkColumns("to", to, count, "y", y.size(2));
          Check.disjoint("x", x, "y", y);
          long bytes = x.dtype().bytes();
          for (long a = 0; a < y.size(0); a++) {
            for (long b = 0; b < y.size(1); b++) {
              long source = transpose ? b * y.size(0) + a : a * y.size(1) + b;
              MemorySegment.copy(
                  x.data(),
                  (source * x.size(2) + from) * bytes,
                  y.data(),
                  ((a * y.size(1) + b) * y.size(2) + to) * bytes,
                  count * bytes);
            }
          }
        });
  }

  private static void checkColumns(String name, long first, long count, String of, long most) {
    Check.require(
        first >= 0 && count >= 0 && first <= most && count <= most - first,
        Words.of("%s is %s and count is %s, but %s has %s columns", name, first, count, of, most));
  }
}
