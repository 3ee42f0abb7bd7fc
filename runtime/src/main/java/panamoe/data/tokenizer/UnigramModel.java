package panamoe.data.tokenizer;

import java.util.Arrays;
import java.util.Collections;
import panamoe.io.IntList;
import tools.jackson.databind.JsonNode;

/**
 * SentencePiece's Unigram model: of all ways to cut a piece into tokens, the one of the greatest
 * sum of scores, found by Viterbi's algorithm in time proportional to the piece's length times the
 * length of the longest token.
 *
 * @param names of the tokens that encoding can produce
 * @param scores by token
 * @param unknown the token of unknown characters in a row; -1 if bytes spell them
 * @param unknownScore of each unknown character
 * @param bytes the tokens of bytes, which spell unknown characters; null for none
 */
record UnigramModel(Trie names, double[] scores, int unknown, double unknownScore, int[] bytes)
    implements Model {
  private static final double UNKNOWN_PENALTY = 10;
  private static final int MAX_LENGTH = 256;
  private static final int NOWHERE = -1;

  static UnigramModel of(TokenizerJson json, Vocabulary vocabulary, TokenDecoder decoder) {
    if (json.scores.isEmpty()) {
      throw json.source.trouble("has no list of tokens with scores in its vocabulary");
    }
    vocabulary.ofModel().keySet().stream()
        .filter(name -> name.length() > MAX_LENGTH)
        .findAny()
        .ifPresent(
            name -> {
              throw json.source.trouble(
                  "has the token %s of %s characters, expected at most %s",
                  Source.shown(name), name.length(), MAX_LENGTH);
            });
    int[] bytes = Model.fallback(json, vocabulary, decoder);
    JsonNode unknown = json.model("unk_id");
    if (bytes == null
        && (!unknown.isInt()
            || unknown.intValue() < 0
            || unknown.intValue() >= json.scores.size())) {
      throw json.source.trouble(
          "has the unk_id %s, expected one of its tokens, since not every text can be encoded without",
          Source.shown(unknown));
    }
    return new UnigramModel(
        Trie.of(vocabulary.ofModel(), false, json.source),
        json.scores.stream().mapToDouble(Double::doubleValue).toArray(),
        bytes == null ? unknown.intValue() : NOWHERE,
        Collections.min(json.scores) - UNKNOWN_PENALTY,
        bytes);
  }

  @Override
  public Encoder encoder() {
    return new Lattice();
  }

  /** For each place in a piece the best way to it. */
  private final class Lattice implements Encoder {
    private double[] best = new double[0];

    /** Where the last token of the best way begins, and that token; {@code NOWHERE} if unknown. */
    private int[] begin;

    private int[] token;

    @Override
    public void encode(char[] text, int from, int to, IntList result) {
      int length = to - from;
      if (best.length <= length) {
        best = new double[2 * length + 1];
        begin = new int[best.length];
        token = new int[best.length];
      }
      Arrays.fill(best, 0, length + 1, Double.NEGATIVE_INFINITY);
      best[0] = 0;
      int width;
      for (int at = 0; at < length; at += width) {
        width = Character.charCount(Character.codePointAt(text, from + at, to));
        boolean known = false;
        int node = Trie.ROOT;
        for (int end = at; end < length; ) {
          node = names.next(node, text[from + end++]);
          if (node < 0) {
            break;
          }
          if (names.token(node) >= 0) {
            reach(at, end, names.token(node), scores[names.token(node)]);
            known |= end - at == width;
          }
        }
        if (!known) {
          reach(at, at + width, NOWHERE, unknownScore);
        }
      }
      add(text, from, length, result);
    }

    private void reach(int at, int end, int id, double score) {
      if (best[at] + score > best[end]) {
        best[end] = best[at] + score;
        begin[end] = at;
        token[end] = id;
      }
    }

    private void add(char[] text, int from, int length, IntList result) {
      // Turn the links around, so that each place leads to the next.
      int next = length;
      for (int at = length; at > 0; ) {
        int before = begin[at];
        begin[at] = next;
        next = at;
        at = before;
      }
      boolean afterUnknown = false;
      for (int at = 0; at < length; ) {
        int end = next;
        if (token[end] != NOWHERE) {
          result.add(token[end]);
        } else if (bytes != null) {
          CharacterModel.spell(text, from + at, from + end, bytes, result);
        } else if (!afterUnknown) {
          result.add(unknown);
        }
        afterUnknown = token[end] == NOWHERE;
        at = end;
        next = begin[end];
      }
    }
  }
}
