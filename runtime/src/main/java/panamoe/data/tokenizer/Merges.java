package panamoe.data.tokenizer;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import panamoe.io.IntList;

/** The token pairs that can be merged, with rank and result. Immutable. */
final class Merges {
  private final PairTable pairs;
  private final int[] ranks;
  private final int[] results;

  private Merges(int count) {
    pairs = new PairTable(count);
    ranks = new int[pairs.places()];
    results = new int[pairs.places()];
  }

  /** The merges that a file lists, or those that its scores imply. */
  static Merges of(TokenizerJson json, Vocabulary vocabulary) {
    return json.scores.isEmpty()
        ? listed(json, vocabulary)
        : byScore(vocabulary.ofModel(), json.scores, json.source);
  }

  /** The listed merges of a file, in the order of their ranks. */
  private static Merges listed(TokenizerJson json, Vocabulary vocabulary) {
    int count = json.merges.size() / 2;
    Merges merges = new Merges(count);
    for (int rank = 0; rank < count; rank++) {
      String left = json.merges.get(2 * rank);
      String right = json.merges.get(2 * rank + 1);
      for (String name : new String[] {left, right, left + right}) {
        if (!json.vocabulary.containsKey(name)) {
          throw json.source.trouble(
              "merges %s and %s, but %s is not in its vocabulary",
              Source.shown(left), Source.shown(right), Source.shown(name));
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

  /**
   * The merges that scores imply: every two tokens whose concatenated names are a token's name.
   * Higher scores are merged first.
   */
  private static Merges byScore(Map<String, Integer> tokens, List<Double> scores, Source source) {
    Trie beginnings = Trie.of(tokens, false, source);
    Trie endings = Trie.of(tokens, true, source);
    IntList found = new IntList();
    for (Map.Entry<String, Integer> each : tokens.entrySet()) {
      String name = each.getKey();
      int[] left = new int[name.length()];
      int node = Trie.ROOT;
      for (int at = 1; at < left.length; at++) {
        node = beginnings.next(node, name.charAt(at - 1));
        left[at] = beginnings.token(node);
      }
      node = Trie.ROOT;
      for (int at = left.length - 1; at > 0 && node >= 0; at--) {
        node = endings.next(node, name.charAt(at));
        if (node >= 0 && endings.token(node) >= 0 && left[at] >= 0) {
          found.add(left[at]);
          found.add(endings.token(node));
          found.add(each.getValue());
        }
      }
      if (found.size() > 3 * TokenizerJson.MAX_MERGES) {
        throw source.trouble(
            "has tokens that allow more than " + TokenizerJson.MAX_MERGES + " merges");
      }
    }
    double[] order = scores.stream().mapToDouble(score -> -score).sorted().distinct().toArray();
    Merges merges = new Merges(found.size() / 3);
    for (int i = 0; i < found.size(); i += 3) {
      int result = found.get(i + 2);
      int rank = Arrays.binarySearch(order, -scores.get(result));
      merges.put(found.get(i), found.get(i + 1), rank, result);
    }
    return merges;
  }

  /** The index of a pair; -1 if it cannot be merged. */
  int find(int left, int right) {
    return pairs.find(left, right);
  }

  /** The rank of the pair at an index; lower ranks are merged first. */
  int rank(int place) {
    return ranks[place];
  }

  int result(int place) {
    return results[place];
  }

  /** Adds a pair; a later duplicate replaces an earlier one. */
  private void put(int left, int right, int rank, int result) {
    int place = pairs.put(left, right);
    ranks[place] = rank;
    results[place] = result;
  }
}
