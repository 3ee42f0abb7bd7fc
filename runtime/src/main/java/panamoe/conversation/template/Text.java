package panamoe.conversation.template;

import java.util.Arrays;
import java.util.BitSet;
import java.util.function.UnaryOperator;

/**
 * A string that records which of its characters are the template's own and which come from the
 * conversation, and whether a filter marked it as safe HTML. Strings with the same characters are
 * equal. Immutable.
 *
 * @param given begin and end of each range of the conversation's characters; ranges are ascending
 *     and do not touch
 * @param isSafe whether it is HTML: Jinja then escapes what is appended, even with autoescape off
 */
record Text(String chars, int[] given, boolean isSafe) implements Comparable<Text> {
  /** Maximum length of a string, and of the output. */
  static final int MOST = 16 << 20;

  static final Text EMPTY = new Text("", new int[0], false);

  /** A string of the template. */
  static Text of(String chars) {
    return chars.isEmpty() ? EMPTY : new Text(chars, EMPTY.given, false);
  }

  /** A string of the conversation. */
  static Text given(String chars) {
    return chars.isEmpty() ? EMPTY : new Text(chars, new int[] {0, chars.length()}, false);
  }

  /** In UTF-16 units. */
  int length() {
    return chars.length();
  }

  boolean isEmpty() {
    return chars.isEmpty();
  }

  /** This string marked as safe HTML. */
  Text safe() {
    return isSafe ? this : new Text(chars, given, true);
  }

  /** The string escaped for HTML, unless it is safe already. */
  Text escaped() {
    return isSafe
        ? this
        : map(part ->
                part.replace("&", "&amp;")
                    .replace("<", "&lt;")
                    .replace(">", "&gt;")
                    .replace("'", "&#39;")
                    .replace("\"", "&#34;"))
            .safe();
  }

  /** The UTF-16 units from {@code from} up to {@code to}. */
  Text slice(int from, int to) {
    if (from >= to) {
      return EMPTY;
    }
    if (from == 0 && to == chars.length()) {
      return this;
    }
    Builder slice = new Builder();
    slice.append(this, from, to);
    return slice.text();
  }

  Text plus(Text more) {
    return isEmpty()
        ? more
        : more.isEmpty() ? this : new Builder().append(this).append(more).text();
  }

  /** Applies a function to each range, which keeps its origin. */
  Text map(UnaryOperator<String> function) {
    Builder mapped = new Builder();
    int at = 0;
    for (int i = 0; i < given.length; i += 2) {
      mapped.append(function.apply(chars.substring(at, given[i])));
      mapped.append(given(function.apply(chars.substring(given[i], given[i + 1]))));
      at = given[i + 1];
    }
    return mapped.append(function.apply(chars.substring(at))).text();
  }

  Prompt prompt() {
    BitSet literal = new BitSet();
    for (int i = 0; i < given.length; i += 2) {
      literal.set(given[i], given[i + 1]);
    }
    return new Prompt(chars, literal);
  }

  @Override
  public int compareTo(Text other) {
    return chars.compareTo(other.chars);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Text text && chars.equals(text.chars);
  }

  @Override
  public int hashCode() {
    return chars.hashCode();
  }

  @Override
  public String toString() {
    return chars;
  }

  static final class Builder {
    private final StringBuilder chars = new StringBuilder();
    private int[] given = new int[4];
    private int used;

    Builder append(Text text) {
      return append(text, 0, text.length());
    }

    Builder append(String own) {
      require(own.length());
      chars.append(own);
      return this;
    }

    /** Appends the units of a string from {@code from} up to {@code to}. */
    Builder append(Text text, int from, int to) {
      require(to - from);
      int shift = chars.length() - from;
      chars.append(text.chars, from, to);
      for (int i = 0; i < text.given.length; i += 2) {
        int begin = Math.max(from, text.given[i]);
        int end = Math.min(to, text.given[i + 1]);
        if (begin < end) {
          add(begin + shift, end + shift);
        }
      }
      return this;
    }

    private void add(int begin, int end) {
      if (used > 0 && given[used - 1] == begin) {
        given[used - 1] = end;
        return;
      }
      if (used == given.length) {
        given = Arrays.copyOf(given, 2 * used);
      }
      given[used++] = begin;
      given[used++] = end;
    }

    private void require(int more) {
      if (more > MOST - chars.length()) {
        throw new TemplateException("the string grows beyond 16 Mi characters");
      }
    }

    int length() {
      return chars.length();
    }

    Text text() {
      return chars.isEmpty()
          ? EMPTY
          : new Text(chars.toString(), Arrays.copyOf(given, used), false);
    }
  }
}
