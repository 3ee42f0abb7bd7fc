package panamoe.grammar;

import java.util.Arrays;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Words of bytes, each with a rule that follows it. A state has one entry for all words with a
 * common prefix, where a choice would have one for each word.
 */
final class WordList {
  private final byte[][] words;
  private final Rule[] then;

  private WordList(SortedMap<byte[], Rule> words) {
    this.words = words.keySet().toArray(byte[][]::new);
    then = words.values().toArray(Rule[]::new);
  }

  /** A map from words to the rules that follow them, to fill. */
  static SortedMap<byte[], Rule> map() {
    return new TreeMap<>(Arrays::compareUnsigned);
  }

  /** A rule that reads one of the words, each at least one byte long, and then its follower. */
  static Rule rule(SortedMap<byte[], Rule> words) {
    words.values().removeIf(rule -> rule == Rule.NEVER);
    return words.isEmpty() ? Rule.NEVER : new Rule.Words(new WordList(words), 0, words.size(), 0);
  }

  /** The follower of the first of these words if it was read completely, else null. */
  Rule after(Rule.Words at) {
    return words[at.low()].length == at.depth() ? then[at.low()] : null;
  }

  /** The longer words that begin with the first one, which was read; null if there are none. */
  static Rule.Words longer(Rule.Words at) {
    return at.high() == at.low() + 1
        ? null
        : new Rule.Words(at.list(), at.low() + 1, at.high(), at.depth());
  }

  /** The words that continue with a byte; null if none does. All are longer than what was read. */
  Rule.Words step(Rule.Words at, int symbol) {
    int low = bound(at, symbol);
    int high = bound(at, symbol + 1);
    return low == high ? null : new Rule.Words(this, low, high, at.depth() + 1);
  }

  /** The followers of all words. */
  Rule[] followers() {
    return then;
  }

  /** The index of the first word whose next byte is at least a value. */
  private int bound(Rule.Words at, int value) {
    int low = at.low();
    int high = at.high();
    while (low < high) {
      int middle = (low + high) >>> 1;
      if ((words[middle][at.depth()] & 0xff) < value) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}
