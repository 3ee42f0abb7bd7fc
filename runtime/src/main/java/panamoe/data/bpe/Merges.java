package panamoe.data.bpe;

import java.util.Arrays;
import java.util.Random;

/**
 * A hash table of the token pairs that can be merged, with rank and result. The hash is seeded per
 * process, so that no file can be crafted to make it slow.
 */
final class Merges {
  private static final long ODD = new Random().nextLong() | 1;
  private static final long FREE = -1;

  private final long[] pairs;
  private final int[] ranks;
  private final int[] results;
  private final int shift;

  private Merges(int count) {
    int bits = Math.max(4, 33 - Integer.numberOfLeadingZeros(count));
    shift = 64 - bits;
    pairs = new long[1 << bits];
    ranks = new int[pairs.length];
    results = new int[pairs.length];
    Arrays.fill(pairs, FREE);
  }

  static Merges of(TokenizerJson json, Vocabulary vocabulary) {
    int count = json.merges.size() / 2;
    Merges merges = new Merges(count);
    for (int rank = 0; rank < count; rank++) {
      String left = json.merges.get(2 * rank);
      String right = json.merges.get(2 * rank + 1);
      for (String name : new String[] {left, right, left + right}) {
        if (!json.vocabulary.containsKey(name)) {
          throw json.source.trouble(
              "merges "
                  + Source.shown(left)
                  + " and "
                  + Source.shown(right)
                  + ", but "
                  + Source.shown(name)
                  + " is not in its vocabulary");
        }
      }
      Integer result = vocabulary.ofModel().get(left + right);
      if (result != null
          && vocabulary.ofModel().containsKey(left)
          && vocabulary.ofModel().containsKey(right)) {
        merges.put(vocabulary.ofModel().get(left), vocabulary.ofModel().get(right), rank, result);
      }
    }
    return merges;
  }

  /** The index of a pair; -1 if it cannot be merged. */
  int find(int left, int right) {
    int place = place(key(left, right));
    return pairs[place] == FREE ? -1 : place;
  }

  /** The rank of the pair at an index; lower ranks are merged first. */
  int rank(int place) {
    return ranks[place];
  }

  int result(int place) {
    return results[place];
  }

  /** Adds a pair; of duplicates the later one counts. */
  private void put(int left, int right, int rank, int result) {
    int place = place(key(left, right));
    pairs[place] = key(left, right);
    ranks[place] = rank;
    results[place] = result;
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
