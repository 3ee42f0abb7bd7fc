package panamoe.data.tokenizer;

import java.util.Arrays;
import java.util.Random;

/**
 * A hash table of pairs of ints, each with an index. The hash is seeded per process, so that no
 * file can be crafted to make it slow.
 */
final class PairTable {
  private static final long ODD = new Random().nextLong() | 1;
  private static final long FREE = -1;

  private final long[] pairs;
  private final int shift;

  /**
   * @param count maximum number of pairs
   */
  PairTable(int count) {
    int bits = Math.max(4, 33 - Integer.numberOfLeadingZeros(count));
    shift = 64 - bits;
    pairs = new long[1 << bits];
    Arrays.fill(pairs, FREE);
  }

  /** The number of indices. */
  int places() {
    return pairs.length;
  }

  /** The index of a pair; -1 if it is absent. */
  int find(int left, int right) {
    int place = place(key(left, right));
    return pairs[place] == FREE ? -1 : place;
  }

  /** The index of a pair, which is added if it is absent. */
  int put(int left, int right) {
    int place = place(key(left, right));
    pairs[place] = key(left, right);
    return place;
  }

  private int place(long key) {
    long mixed = key * ODD;
    int place = (int) ((mixed ^ mixed >>> 32) * ODD >>> shift);
    while (pairs[place] != FREE && pairs[place] != key) {
      place = place + 1 & pairs.length - 1;
    }
    return place;
  }

  private static long key(int left, int right) {
    return (long) left << 32 | right;
  }
}
