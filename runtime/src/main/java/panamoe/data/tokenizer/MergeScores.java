package panamoe.data.tokenizer;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/**
 * Byte pairs over characters in two forms: a {@code tokenizer.json} lists merges, GGUF gives scores
 * to tokens, and any two that make a token are merged, the best first.
 */
final class MergeScores {
  private MergeScores() {}

  /** The halves of each merge that scores allow, alternating, the best token's first. */
  static List<String> merges(TokenizerJson json) {
    Set<String> plain = plain(json);
    List<String> best = new ArrayList<>(plain);
    Map<String, Integer> numbers = json.vocabulary;
    best.sort(
        Comparator.comparing((String name) -> -json.scores.get(numbers.get(name)))
            .thenComparing(numbers::get));
    List<String> merges = new ArrayList<>();
    for (String name : best) {
      addSplits(name, plain, merges);
    }
    return merges;
  }

  /**
   * Scores by which the listed merges are the ones that are allowed, in their order; empty if there
   * are none such. What no merge makes has the least.
   *
   * @param count of the model's tokens
   */
  static Optional<float[]> scores(TokenizerJson json, int count) {
    Map<String, Integer> firsts = new HashMap<>();
    String last = "";
    for (int i = 0; i < json.merges.size(); i += 2) {
      String name = json.merges.get(i) + json.merges.get(i + 1);
      if (!name.equals(last) && firsts.put(name, i / 2) != null) {
        return Optional.empty(); // another token's merge lies between
      }
      last = name;
    }
    Set<String> plain = plain(json);
    List<String> allowed = new ArrayList<>();
    plain.forEach(name -> addSplits(name, plain, allowed));
    if (allowed.size() != json.merges.size()) {
      return Optional.empty();
    }
    float[] scores = new float[count];
    json.vocabulary.forEach(
        (name, id) -> scores[id] = -firsts.getOrDefault(name, json.merges.size() / 2 + id));
    return Optional.of(scores);
  }

  /** The tokens that text is made of. */
  private static Set<String> plain(TokenizerJson json) {
    Set<String> plain = new HashSet<>(json.vocabulary.keySet());
    for (JsonNode added : json.part("added_tokens")) {
      plain.remove(added.path("content").asString(""));
    }
    return plain;
  }

  private static void addSplits(String name, Set<String> plain, List<String> merges) {
    for (int at = 1; at < name.length(); at++) {
      String left = name.substring(0, at);
      String right = name.substring(at);
      if (plain.contains(left) && plain.contains(right)) {
        merges.add(left);
        merges.add(right);
      }
    }
  }
}
