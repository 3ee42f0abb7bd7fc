package panamoe.grammar;

import java.util.Arrays;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Words of bytes, each with the rule that follows it. However many there are, they are one place to
 * be in, where as many rules of a choice would each be followed.
 */
final class WordList {
  private final byte[][] words;
  private final Rule[] then;

  private WordList(SortedMap<byte[], Rule> words) {
    this.words = words.keySet().toArray(byte[][]::new);
    then = words.values().toArray(Rule[]::new);
  }

  /** The words and what follows each of them, to be filled. */
  static SortedMap<byte[], Rule> map() {
    return new TreeMap<>(Arrays::compareUnsigned);
  }

  /** A rule that reads one of the words, at least one byte long, and then what follows it. */
  static Rule rule(SortedMap<byte[], Rule> words) {
    words.values().removeIf(rule -> rule == Rule.NEVER);
    return words.isEmpty() ? Rule.NEVER : new Rule.Words(new WordList(words), 0, words.size(), 0);
  }

  /** What follows the first of these words; null if more of it is to be read. */
  Rule after(Rule.Words at) {
    return words[at.low()].length == at.depth() ? then[at.low()] : null;
  }

  /** The longer words that begin with the first of these, which is read; null if there are none. */
  static Rule.Words longer(Rule.Words at) {
    return at.high() == at.low() + 1
        ? null
        : new Rule.Words(at.list(), at.low() + 1, at.high(), at.depth());
  }

  /** The words that go on with a byte; null if none does. All are longer than what is read. */
  Rule.Words step(Rule.Words at, int symbol) {
    int low = bound(at, symbol);
    int high = bound(at, symbol + 1);
    return low == high ? null : new Rule.Words(this, low, high, at.depth() + 1);
  }

  /** What follows any of the words. */
  Rule[] followers() {
    return then;
  }

  /** The first of these words whose next byte is not below a value. */
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
