package panamoe.data;

/**
 * A pseudo-random permutation of 0 to size - 1 that needs no storage: a Feistel network permutes
 * the next power of four, and values outside the range are permuted again until they fall inside
 * (cycle walking).
 */
public record Permutation(long size, long key) {
  private static final int ROUNDS = 6;

  /** The value at an index. */
  public long at(long place) {
    int halfBits = (65 - Long.numberOfLeadingZeros(Math.max(1, size - 1))) / 2;
    long mask = (1L << halfBits) - 1;
    long value = place;
    do {
      long left = value >>> halfBits;
      long right = value & mask;
      for (int round = 0; round < ROUNDS; round++) {
        long next = left ^ mix(key + mix(right * ROUNDS + round)) & mask;
        left = right;
        right = next;
      }
      value = left << halfBits | right;
    } while (value >= size);
    return value;
  }

  /** The finaliser of SplitMix64 (Steele, Lea, Flood 2014): each input bit affects all outputs. */
  public static long mix(long value) {
    long z = value + 0x9e3779b97f4a7c15L;
    z = (z ^ z >>> 30) * 0xbf58476d1ce4e5b9L;
    z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
    return z ^ z >>> 31;
  }
}
