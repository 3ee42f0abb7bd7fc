package panamoe.backend.reference;

import java.util.Arrays;
import java.util.Locale;
import java.util.StringJoiner;
import java.util.function.Supplier;
import panamoe.io.Words;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Argument checks. Each throws an {@link IllegalArgumentException} of one sentence that names the
 * argument.
 */
final class Check {
  /** A size that may be anything. */
  static final long ANY = -1;

  /** Element types that an argument may have. */
  enum Kind {
    FLOAT32,
    FLOATING,
    INT32,
    UINT8,
    FLOAT64,
    FLOATING_OR_INT8;

    boolean contains(DType dtype) {
      return switch (this) {
        case FLOATING -> dtype.isFloating();
        case FLOATING_OR_INT8 -> dtype.isFloating() || dtype == DType.INT8;
        default -> name().equals(dtype.name());
      };
    }

    @Override
    public String toString() {
      return switch (this) {
        case FLOATING -> "float32 or bfloat16";
        case FLOATING_OR_INT8 -> "float32, bfloat16 or int8";
        default -> lower(this);
      };
    }
  }

  private Check() {}

  /** A row-major tensor of one of the dtypes and of this shape, where sizes may be {@link #ANY}. */
  static void tensor(String name, Tensor tensor, Kind kind, long... shape) {
    elements(name, tensor, kind, ANY);
    shape(name, tensor, shape);
  }

  static void optional(String name, Tensor tensor, Kind kind, long... shape) {
    if (tensor != null) {
      tensor(name, tensor, kind, shape);
    }
  }

  /** A tensor of any rank with this many elements. */
  static void elements(String name, Tensor tensor, Kind kind, long count) {
    present(name, tensor, kind);
    require(!tensor.packed(), name + " is packed, expected row-major");
    require(
        count == ANY || tensor.count() == count,
        Words.of(
            "%s of shape %s has %s elements, expected %s",
            name, text(tensor), tensor.count(), count));
  }

  /** Weights of this shape, packed or not; weights in blocks must be packed. */
  static void weights(String name, Tensor tensor, long... shape) {
    if (tensor != null && tensor.dtype().isBlocks()) {
      require(tensor.packed(), () -> name + " is " + tensor.dtype() + ", expected it packed");
    } else {
      present(name, tensor, Kind.FLOATING);
    }
    shape(name, tensor, shape);
  }

  static void sameDtype(String nameA, Tensor a, String nameB, Tensor b) {
    require(
        a.dtype() == b.dtype(),
        nameA + " is " + lower(a.dtype()) + " but " + nameB + " is " + lower(b.dtype()));
  }

  /** Both are given, or neither. */
  static void together(String nameA, Tensor a, String nameB, Tensor b) {
    require(
        (a == null) == (b == null),
        Words.of(
            "%s and %s are given together or both null, %s is null",
            nameA, nameB, a == null ? nameA : nameB));
  }

  /** Memory of two tensors, one of them written, does not overlap. */
  static void disjoint(String nameA, Tensor a, String nameB, Tensor b) {
    if (a != null && b != null && a.bytes() > 0 && b.bytes() > 0) {
      require(
          a.data().asOverlappingSlice(b.data()).isEmpty(),
          nameA + " and " + nameB + " share memory");
    }
  }

  /** Like {@link #disjoint}, but the very same memory and dtype is allowed. */
  static void disjointOrSame(String nameA, Tensor a, String nameB, Tensor b) {
    if (a.dtype() != b.dtype() || a.data().address() != b.data().address()) {
      disjoint(nameA, a, nameB, b);
    }
  }

  static void finite(String name, float value) {
    require(Float.isFinite(value), name + " is " + value + ", expected a finite number");
  }

  static void between(String name, float value, float low, float high) {
    require(
        value >= low && value <= high, name + " is " + value + ", expected " + low + " to " + high);
  }

  static void between(String name, long value, long low, long high) {
    require(
        value >= low && value <= high, name + " is " + value + ", expected " + low + " to " + high);
  }

  /** Every value of an INT32 tensor is in [low, high). */
  static void range(String name, Tensor values, long low, long high) {
    int[] ids = values.toInts();
    for (int i = 0; i < ids.length; i++) {
      require(
          ids[i] >= low && ids[i] < high,
          name + "[" + i + "] is " + ids[i] + ", expected " + low + " to " + (high - 1));
    }
  }

  /** Offsets [E + 1] rise from 0 and stay within {@code rows}. */
  static void offsets(Tensor offsets, long rows) {
    int[] starts = offsets.toInts();
    require(starts[0] == 0, "offsets[0] is " + starts[0] + ", expected 0");
    int last = starts.length - 1;
    for (int e = 0; e < last; e++) {
      require(
          starts[e + 1] >= starts[e],
          Words.of(
              "offsets[%s] is %s, less than offsets[%s] = %s", e + 1, starts[e + 1], e, starts[e]));
    }
    require(
        starts[last] <= rows,
        "offsets[" + last + "] is " + starts[last] + ", past the " + rows + " rows");
  }

  static void require(boolean holds, String sentence) {
    if (!holds) {
      throw new IllegalArgumentException(sentence);
    }
  }

  /** Forms the sentence only for a failure: for checks of single elements. */
  static void require(boolean holds, Supplier<String> sentence) {
    if (!holds) {
      throw new IllegalArgumentException(sentence.get());
    }
  }

  private static void present(String name, Tensor tensor, Kind kind) {
    require(tensor != null, name + " is null");
    require(
        kind.contains(tensor.dtype()),
        name + " is " + lower(tensor.dtype()) + ", expected " + kind);
  }

  private static void shape(String name, Tensor tensor, long... shape) {
    boolean matches = tensor.rank() == shape.length;
    for (int axis = 0; matches && axis < shape.length; axis++) {
      matches = shape[axis] == ANY || tensor.size(axis) == shape[axis];
    }
    if (!matches) {
      StringJoiner expected = new StringJoiner(", ", "[", "]");
      for (long size : shape) {
        expected.add(size == ANY ? "any" : Long.toString(size));
      }
      throw new IllegalArgumentException(
          name + " has shape " + text(tensor) + ", expected " + expected);
    }
  }

  private static String text(Tensor tensor) {
    return Arrays.toString(tensor.shape());
  }

  private static String lower(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }
}
