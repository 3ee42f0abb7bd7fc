package panamoe.data.tokenizer;

import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import panamoe.data.regex.CodeSets;

/** Finds added tokens in a text: leftmost, then longest, without overlap. Immutable. */
final class AddedTokens {

  /** A node of the trie of all contents; {@code token} is the one whose content ends here. */
  private static final class Node {
    final Map<Character, Node> next = new HashMap<>();
    AddedToken token;
    int length;
  }

  private final Node root = new Node();
  private final BitSet beginnings = new BitSet();

  /**
   * @param normalizer applied to the contents of tokens that are not verbatim
   */
  AddedTokens(List<AddedToken> tokens, TextNormalizer normalizer) {
    for (AddedToken token : tokens) {
      String content =
          token.borders().verbatim() ? token.content() : normalizer.apply(token.content());
      if (content.isEmpty()) {
        continue; // nothing of it is left to be found
      }
      Node node = root;
      for (int i = 0; i < content.length(); i++) {
        node = node.next.computeIfAbsent(content.charAt(i), c -> new Node());
      }
      node.token = token;
      node.length = content.length();
      beginnings.set(content.charAt(0));
    }
  }

  /**
   * Passes on the parts of a text in order.
   *
   * @param literal the positions of characters that belong to no marker
   * @param tokens receives added tokens
   * @param between receives the non-empty text between them
   */
  void split(
      char[] text,
      int from,
      int to,
      AddedTokenMatching sought,
      BitSet literal,
      IntConsumer tokens,
      Split.Sink between) {
    int done = from;
    for (int at = from; at < to; at++) {
      Node found = beginnings.get(text[at]) ? longest(text, at, to, sought, literal) : null;
      if (found == null) {
        continue;
      }
      int begin = at;
      int end = at + found.length;
      at = end - 1;
      AddedToken.Borders borders = found.token.borders();
      if (borders.singleWord()
          && (touchesWord(text, from, begin, -1) || touchesWord(text, end, to, 1))) {
        continue;
      }
      while (borders.takesLeft() && begin > done && CodeSets.SPACE.contains(text[begin - 1])) {
        begin--;
      }
      while (borders.takesRight() && end < to && CodeSets.SPACE.contains(text[end])) {
        end++;
      }
      if (done < begin) {
        between.piece(text, done, begin);
      }
      tokens.accept(found.token.id());
      done = end;
      at = end - 1;
    }
    if (done < to) {
      between.piece(text, done, to);
    }
  }

  private Node longest(char[] text, int from, int to, AddedTokenMatching sought, BitSet literal) {
    Node longest = null;
    int nextLiteral = literal.nextSetBit(from);
    Node node = root;
    for (int at = from; at < to; at++) {
      node = node.next.get(text[at]);
      if (node == null) {
        break;
      }
      boolean free = nextLiteral < 0 || nextLiteral > at;
      if (node.token != null && sought.includes(node.token) && (free || !node.token.marker())) {
        longest = node;
      }
    }
    return longest;
  }

  /** Whether the character before a range's end, or at its beginning, is a word character. */
  private static boolean touchesWord(char[] text, int from, int to, int side) {
    return from < to
        && CodeSets.WORD.contains(
            side > 0
                ? Character.codePointAt(text, from, to)
                : Character.codePointBefore(text, to, from));
  }
}
