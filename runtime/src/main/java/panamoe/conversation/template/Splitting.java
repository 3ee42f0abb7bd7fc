package panamoe.conversation.template;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Strings taken apart. */
final class Splitting {
  private Splitting() {}

  /**
   * {@code split}, and from the right {@code rsplit}.
   *
   * @param arguments {@code sep}, without it white space, and {@code maxsplit}
   */
  static List<Object> split(Text text, Arguments arguments, boolean right, Budget budget) {
    Object[] bound = arguments.bind("sep", "maxsplit");
    long most = bound[1] == null ? -1 : Values.whole(bound[1]);
    most = most < 0 ? Long.MAX_VALUE : most;
    if (bound[0] == null || bound[0] == None.NONE) {
      return right ? wordsFromRight(text, most, budget) : words(text, most, budget);
    }
    Text separator = Values.text(bound[0]);
    List<Integer> places = TextMethods.places(text, separator, budget);
    if (places.size() > most) {
      int from = right ? places.size() - (int) most : 0;
      places = places.subList(from, from + (int) most);
    }
    List<Object> parts = new ArrayList<>();
    budget.spendOnTexts(places.size());
    int done = 0;
    for (int at : places) {
      parts.add(text.slice(done, at));
      done = at + separator.length();
    }
    parts.add(text.slice(done, text.length()));
    return parts;
  }

  private static List<Object> words(Text text, long most, Budget budget) {
    List<Object> words = new ArrayList<>();
    int at = space(text, 0, true);
    while (at < text.length()) {
      budget.spendOnTexts(1);
      int end = words.size() == most ? text.length() : space(text, at, false);
      words.add(text.slice(at, end));
      at = space(text, end, true);
    }
    return words;
  }

  private static List<Object> wordsFromRight(Text text, long most, Budget budget) {
    List<Object> words = new ArrayList<>();
    Text left = TextMethods.strip(text, null, false, true);
    while (!left.isEmpty()) {
      budget.spendOnTexts(1 + left.length() / 1024);
      int begin = left.length();
      while (begin > 0 && !Chars.isSpace(left.chars().charAt(begin - 1))) {
        begin--;
      }
      if (words.size() == most) {
        words.add(left);
        break;
      }
      words.add(left.slice(begin, left.length()));
      left = TextMethods.strip(left.slice(0, begin), null, false, true);
    }
    Collections.reverse(words);
    return words;
  }

  /** The first place from {@code at} that is not, or is, white space. */
  private static int space(Text text, int at, boolean skipped) {
    int next = at;
    while (next < text.length() && Chars.isSpace(text.chars().charAt(next)) == skipped) {
      next++;
    }
    return next;
  }

  static List<Object> lines(Text text, Budget budget) {
    List<Object> lines = new ArrayList<>();
    int begin = 0;
    while (begin < text.length()) {
      budget.spendOnTexts(1);
      int end = begin;
      while (end < text.length()
          && "\n\r\u000b\f\u001c\u001d\u001e\u0085\u2028\u2029".indexOf(text.chars().charAt(end))
              < 0) {
        end++;
      }
      lines.add(text.slice(begin, end));
      begin = end + (text.chars().startsWith("\r\n", end) ? 2 : 1);
    }
    return lines;
  }

  /** What lies before the first separator, that separator, and what lies after it. */
  static Tuple partition(Text text, Object separator, Budget budget) {
    Text sought = Values.text(separator);
    int at = budget.find(text, sought, 0);
    return at < 0
        ? Tuple.of(text, Text.EMPTY, Text.EMPTY)
        : Tuple.of(
            text.slice(0, at),
            text.slice(at, at + sought.length()),
            text.slice(at + sought.length(), text.length()));
  }
}
