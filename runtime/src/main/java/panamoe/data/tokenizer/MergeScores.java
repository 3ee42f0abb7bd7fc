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
 * Converts character-level BPE between two forms: {@code tokenizer.json} lists merges; GGUF has
 * scores of tokens, and any two tokens that form a token are merged, the best score first.
 */
final class MergeScores {
  private MergeScores() {}

  /** The halves of each merge that scores imply, alternating, the best token's first. */
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
   * Scores that imply exactly the listed merges in their order; empty if that is impossible. Tokens
   * that no merge forms have the lowest score.
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

  /** The tokens that plain text is made of. */
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
