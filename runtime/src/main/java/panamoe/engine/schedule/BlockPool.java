package panamoe.engine.schedule;

import java.util.HashMap;
import java.util.Map;

/**
 * The blocks of a key/value cache: by how many sequences each is used, and which text a full one
 * holds. A block that nobody uses keeps its text, until it is taken for another one; the one that
 * was given back first is taken first. Used by the engine's thread.
 */
final class BlockPool {
  private final int[] users;
  private final Prefix[] names;
  private final Map<Prefix, Integer> named = new HashMap<>();
  // The unused blocks as a ring, least recently used first; its last element is the ring's end.
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

  /** Blocks that nobody uses. */
  int unused() {
    return unused;
  }

  /**
   * A block for new text, used once.
   *
   * @throws IllegalStateException if all are used
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

  /** Lets nobody find a block any more. */
  void unname(int block) {
    if (names[block] != null) {
      named.remove(names[block]);
      names[block] = null;
    }
  }

  /** The block that holds the end of {@code prefix}, or -1. */
  int find(Prefix prefix) {
    return named.getOrDefault(prefix, -1);
  }

  /** Uses a block that {@link #find} gave once more. */
  void share(int block) {
    if (users[block]++ == 0) {
      remove(block);
    }
  }

  /** Whether anybody uses a block. */
  boolean used(int block) {
    return users[block] > 0;
  }

  /** Ends one use of a block. */
  void release(int block) {
    if (--users[block] == 0) {
      append(block);
    }
  }

  /**
   * Says that a used block is full and ends {@code prefix}. The first of two such blocks is found.
   */
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
