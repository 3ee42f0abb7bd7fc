package panamoe.data.tokenizer;

import java.util.Arrays;
import java.util.Map;

/** A trie of tokens' names by character. Immutable. */
final class Trie {
  static final int ROOT = 0;
  private static final int NONE = -1;
  private static final int MAX_CHARACTERS = 16 << 20;

  private final PairTable edges;

  /** The node at the end of each edge, by the edge's index. */
  private final int[] nodes;

  /** The token whose name ends at each node. */
  private final int[] tokens;

  private Trie(int characters) {
    edges = new PairTable(characters);
    nodes = new int[edges.places()];
    tokens = new int[characters + 1];
    Arrays.fill(tokens, NONE);
  }

  /**
   * @param backwards whether names are entered from their last character to the first
   */
  static Trie of(Map<String, Integer> names, boolean backwards, Source source) {
    long characters = names.keySet().stream().mapToLong(String::length).sum();
    if (characters > MAX_CHARACTERS) {
      throw source.trouble(
          "has tokens of " + characters + " characters in all, expected at most " + MAX_CHARACTERS);
    }
    Trie trie = new Trie((int) characters);
    int count = 1;
    for (Map.Entry<String, Integer> each : names.entrySet()) {
      String name = each.getKey();
      int node = ROOT;
      for (int i = 0; i < name.length(); i++) {
        int place = trie.edges.put(node, name.charAt(backwards ? name.length() - 1 - i : i));
        if (trie.nodes[place] == ROOT) {
          trie.nodes[place] = count++;
        }
        node = trie.nodes[place];
      }
      trie.tokens[node] = each.getValue();
    }
    return trie;
  }

  /** The node after a character; -1 if no name continues so. */
  int next(int node, char character) {
    int place = edges.find(node, character);
    return place < 0 ? NONE : nodes[place];
  }

  /** The token whose name ends at a node; -1 if no name ends there. */
  int token(int node) {
    return tokens[node];
  }
}
