package panamoe.grammar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import panamoe.data.Markers;
import panamoe.data.Tokenizer;

/**
 * A vocabulary as a trie of bytes, with special tokens as {@link Markers}. Nodes are numbered in
 * preorder, so that a walk over a subtree is a loop over numbers.
 */
final class TokenTrie {
  /** The node of the empty prefix. */
  static final int ROOT = 0;

  /** Decides where a walk continues. */
  interface Step<S> {
    /** The state after a byte on the way to a node; null to skip the subtree. */
    S next(S state, int value, int node);
  }

  /** The byte on the edge to a node. */
  private final byte[] label;

  private final int[] depth;

  /** The end of a node's subtree. */
  private final int[] end;

  /** The tokens that end at a node begin here in {@code tokens} and end at the next node's. */
  private final int[] first;

  private final int[] tokens;
  private final int longest;

  TokenTrie(Tokenizer tokenizer) {
    List<byte[]> bytes = new ArrayList<>();
    List<Integer> sorted = new ArrayList<>();
    int nodes = 1;
    for (int token = 0; token < tokenizer.vocabularySize(); token++) {
      bytes.add(Markers.bytes(tokenizer, token));
      if (bytes.getLast().length > 0 && !tokenizer.endsText(token)) {
        sorted.add(token);
      }
    }
    sorted.sort((a, b) -> Arrays.compareUnsigned(bytes.get(a), bytes.get(b)));
    tokens = sorted.stream().mapToInt(Integer::intValue).toArray();
    byte[] before = {};
    int most = 0;
    for (int token : tokens) {
      byte[] word = bytes.get(token);
      nodes += word.length - common(before, word);
      most = Math.max(most, word.length);
      before = word;
    }
    longest = most;
    label = new byte[nodes];
    depth = new int[nodes];
    end = new int[nodes];
    first = new int[nodes + 1];
    fill(bytes);
  }

  private void fill(List<byte[]> bytes) {
    int[] path = new int[longest + 1];
    byte[] before = {};
    int node = 0;
    for (int i = 0; i < tokens.length; i++) {
      byte[] word = bytes.get(tokens[i]);
      int common = common(before, word);
      for (int at = before.length; at > common; at--) {
        end[path[at]] = node + 1;
      }
      for (int at = common; at < word.length; at++) {
        node++;
        label[node] = word[at];
        depth[node] = at + 1;
        first[node] = i;
        path[at + 1] = node;
      }
      before = word;
    }
    for (int at = before.length; at >= 0; at--) {
      end[path[at]] = node + 1;
    }
    first[node + 1] = tokens.length;
  }

  /** The length of the longest token in bytes. */
  int longest() {
    return longest;
  }

  boolean isLeaf(int node) {
    return end[node] == node + 1;
  }

  /** Adds the tokens that end at a node to a mask. */
  void mark(int node, BitSet mask) {
    for (int i = first[node]; i < first[node + 1]; i++) {
      mask.set(tokens[i]);
    }
  }

  /** Visits the nodes below {@code from}, as far as {@code step} continues. */
  <S> void walk(int from, S start, Step<S> step) {
    Object[] path = new Object[longest + 1];
    path[depth[from]] = start;
    for (int node = from + 1; node < end[from]; ) {
      @SuppressWarnings("unchecked")
      S before = (S) path[depth[node] - 1];
      S after = step.next(before, label[node] & 0xff, node);
      path[depth[node]] = after;
      node = after == null ? end[node] : node + 1;
    }
  }

  private static int common(byte[] a, byte[] b) {
    int at = Arrays.mismatch(a, b);
    return at < 0 ? a.length : at;
  }
}
