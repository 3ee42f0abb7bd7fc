package panamoe.data.tokenizer;

import java.util.Arrays;
import panamoe.io.IntList;

/**
 * Byte-pair encoding of one word: merges the neighbouring pair of lowest rank, the leftmost of
 * equals, until no pair can be merged. A heap of pairs over a linked list of tokens takes O(n log
 * n) for n bytes. Not thread-safe.
 */
final class Merger {
  private static final int NONE = -1;

  /** Buffers for longer words are freed after use. */
  private static final int KEPT = 1 << 16;

  private final Merges merges;

  /** The linked list: each position holds a token, unless it was merged into an earlier one. */
  private int[] tokens = new int[0];

  private int[] previous;
  private int[] next;

  /** For each position, the index in the merges of the pair that begins there. */
  private int[] pairs;

  /** A min-heap of pairs by rank and position; entries of changed pairs are stale. */
  private long[] heap;

  private int heapSize;

  Merger(Merges merges) {
    this.merges = merges;
  }

  /** The array for the tokens of a word of {@code length} bytes, to fill before {@link #merge}. */
  int[] room(int length) {
    if (tokens.length < length || tokens.length > KEPT && length <= KEPT) {
      int size = Math.max(64, Math.max(length, length <= KEPT / 2 ? 2 * length : length));
      tokens = new int[size];
      previous = new int[size];
      next = new int[size];
      pairs = new int[size];
      // One pair for each byte except the last, and two more for each merge.
      heap = new long[3 * size];
    }
    return tokens;
  }

  void merge(int length, IntList result) {
    heapSize = 0;
    for (int at = 0; at < length; at++) {
      previous[at] = at - 1;
      next[at] = at + 1 < length ? at + 1 : NONE;
      enter(at);
    }
    while (heapSize > 0) {
      long lowest = pop();
      int at = (int) lowest;
      int pair = pairs[at];
      if (pair != NONE && merges.rank(pair) == (int) (lowest >>> 32)) {
        merge(at, pair);
      }
    }
    for (int at = 0; at != NONE; at = next[at]) {
      result.add(tokens[at]);
    }
  }

  private void merge(int at, int pair) {
    int gone = next[at];
    tokens[at] = merges.result(pair);
    pairs[gone] = NONE;
    next[at] = next[gone];
    if (next[at] != NONE) {
      previous[next[at]] = at;
    }
    enter(at);
    if (previous[at] != NONE) {
      enter(previous[at]);
    }
  }

  /** Adds the pair at a position to the heap, if it can be merged. */
  private void enter(int at) {
    pairs[at] = next[at] == NONE ? NONE : merges.find(tokens[at], tokens[next[at]]);
    if (pairs[at] != NONE) {
      push((long) merges.rank(pairs[at]) << 32 | at);
    }
  }

  private void push(long entry) {
    if (heapSize == heap.length) {
      heap = Arrays.copyOf(heap, 2 * heapSize);
    }
    int at = heapSize++;
    while (at > 0 && heap[(at - 1) / 2] > entry) {
      heap[at] = heap[(at - 1) / 2];
      at = (at - 1) / 2;
    }
    heap[at] = entry;
  }

  private long pop() {
    long result = heap[0];
    long last = heap[--heapSize];
    int at = 0;
    for (int child = 1; child < heapSize; child = 2 * at + 1) {
      child += child + 1 < heapSize && heap[child + 1] < heap[child] ? 1 : 0;
      if (heap[child] >= last) {
        break;
      }
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return result;
  }
}
