package panamoe.engine.schedule;

import java.util.HashMap;
import java.util.Map;

/**
 * The blocks of a key/value cache: the number of sequences that use each, and the prefix whose end
 * a full block holds. An unused block keeps its prefix until it is taken for other tokens, the
 * least recently used one first. Used by the engine's thread.
 */
final class BlockPool {
  private final int[] users;
  private final Prefix[] names;
  private final Map<Prefix, Integer> named = new HashMap<>();
  // The unused blocks as a ring, least recently used first; the last element is its sentinel.
  private final int[] before;
  private final int[] after;
  private int unused;

  BlockPool(int blocks) {
    users = new int[blocks];
    names = new Prefix[blocks];
    before = new int[blocks + 1];
    after = new int[blocks + 1];
    before[blocks] = blocks;
    after[blocks] = blocks;
    for (int block = 0; block < blocks; block++) {
      append(block);
    }
  }

  int size() {
    return users.length;
  }

  /** The number of unused blocks. */
  int unused() {
    return unused;
  }

  /**
   * A block for new tokens, with one user.
   *
   * @throws IllegalStateException if no block is unused
   */
  int take() {
    if (unused == 0) {
      throw new IllegalStateException("all " + size() + " blocks are used");
    }
    int block = after[size()];
    remove(block);
    users[block] = 1;
    unname(block);
    return block;
  }

  /** Makes a block impossible to find. */
  void unname(int block) {
    if (names[block] != null) {
      named.remove(names[block]);
      names[block] = null;
    }
  }

  /** The block at the end of {@code prefix}, or -1. */
  int find(Prefix prefix) {
    return named.getOrDefault(prefix, -1);
  }

  /** Adds a user of a block that {@link #find} returned. */
  void share(int block) {
    if (users[block]++ == 0) {
      remove(block);
    }
  }

  /** Whether a sequence uses a block. */
  boolean used(int block) {
    return users[block] > 0;
  }

  /** Removes a user of a block. */
  void release(int block) {
    if (--users[block] == 0) {
      append(block);
    }
  }

  /** Names a used, full block after its prefix; of two with one prefix the first is found. */
  void name(int block, Prefix prefix) {
    if (names[block] == null && named.putIfAbsent(prefix, block) == null) {
      names[block] = prefix;
    }
  }

  private void append(int block) {
    int end = size();
    int last = before[end];
    after[last] = block;
    before[block] = last;
    after[block] = end;
    before[end] = block;
    unused++;
  }

  private void remove(int block) {
    after[before[block]] = after[block];
    before[after[block]] = before[block];
    unused--;
  }
}
