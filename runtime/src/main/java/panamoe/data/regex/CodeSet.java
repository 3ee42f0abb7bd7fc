package panamoe.data.regex;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * A set of code points as an inversion list: the ascending points at which membership changes; the
 * first one enters the set. Immutable.
 */
public final class CodeSet {
  /** One more than the last code point. */
  public static final int LIMIT = Character.MAX_CODE_POINT + 1;

  public static final CodeSet EMPTY = new CodeSet(new int[0]);

  private final int[] changes;

  private CodeSet(int[] changes) {
    this.changes = changes;
  }

  public static CodeSet of(int codePoint) {
    return range(codePoint, codePoint);
  }

  /** The code points from first to last, inclusive. */
  public static CodeSet range(int first, int last) {
    return new CodeSet(new int[] {first, last + 1});
  }

  /** The set of the given code points, in ascending order; duplicates are allowed. */
  static CodeSet of(int[] ascending) {
    int[] changes = new int[2 * ascending.length];
    int count = 0;
    for (int point : ascending) {
      if (count == 0 || point > changes[count - 1]) {
        changes[count++] = point;
        count++;
      }
      changes[count - 1] = point + 1;
    }
    return new CodeSet(Arrays.copyOf(changes, count));
  }

  /** All code points, grouped by a key. */
  static <K> Map<K, CodeSet> partition(IntFunction<K> keyOf) {
    Map<K, IntStream.Builder> changes = new HashMap<>();
    K last = null;
    for (int point = 0; point <= LIMIT; point++) {
      K key = point < LIMIT ? keyOf.apply(point) : null;
      if (key != last) {
        if (last != null) {
          changes.get(last).add(point);
        }
        if (key != null) {
          changes.computeIfAbsent(key, one -> IntStream.builder()).add(point);
        }
        last = key;
      }
    }
    Map<K, CodeSet> sets = new HashMap<>();
    changes.forEach((key, points) -> sets.put(key, new CodeSet(points.build().toArray())));
    return sets;
  }

  static CodeSet anyOf(CodeSet... sets) {
    return Stream.of(sets).reduce(EMPTY, CodeSet::union);
  }

  public CodeSet union(CodeSet other) {
    return combine(other, 1);
  }

  public CodeSet intersection(CodeSet other) {
    return combine(other, 2);
  }

  public CodeSet complement() {
    boolean fromZero = changes.length > 0 && changes[0] == 0;
    int[] result = fromZero ? Arrays.copyOfRange(changes, 1, changes.length) : prepended(changes);
    int last = result.length - 1;
    if (last >= 0 && result[last] == LIMIT) {
      return new CodeSet(Arrays.copyOf(result, last));
    }
    return new CodeSet(closed(result, result.length));
  }

  public boolean contains(int codePoint) {
    int at = Arrays.binarySearch(changes, codePoint);
    return ((at >= 0 ? at : -at - 2) & 1) == 0;
  }

  /** Whether it has exactly one code point. */
  public boolean isSingle() {
    return changes.length == 2 && changes[1] == changes[0] + 1;
  }

  /** The inversion list; do not change it. */
  public int[] changes() {
    return changes;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof CodeSet set && Arrays.equals(changes, set.changes);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(changes);
  }

  /** The points that are in at least {@code needed} of the two sets (1: union, 2: intersection). */
  private CodeSet combine(CodeSet other, int needed) {
    int[] a = changes;
    int[] b = other.changes;
    int[] result = new int[a.length + b.length];
    int count = 0;
    for (int i = 0, j = 0; i < a.length || j < b.length; ) {
      int point = Math.min(i < a.length ? a[i] : LIMIT, j < b.length ? b[j] : LIMIT);
      i += i < a.length && a[i] == point ? 1 : 0;
      j += j < b.length && b[j] == point ? 1 : 0;
      boolean inside = (i & 1) + (j & 1) >= needed;
      if (inside != ((count & 1) == 1)) {
        result[count++] = point;
      }
    }
    return new CodeSet(Arrays.copyOf(result, count));
  }

  private static int[] closed(int[] changes, int count) {
    if ((count & 1) == 0) {
      return changes;
    }
    int[] result = Arrays.copyOf(changes, count + 1);
    result[count] = LIMIT;
    return result;
  }

  private static int[] prepended(int[] changes) {
    int[] result = new int[changes.length + 1];
    System.arraycopy(changes, 0, result, 1, changes.length);
    return result;
  }
}
