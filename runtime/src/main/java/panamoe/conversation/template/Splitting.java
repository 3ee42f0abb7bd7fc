package panamoe.conversation.template;

import java.util.ArrayList;
import java.util.List;

/** Python's methods that split strings. */
final class Splitting {
  private Splitting() {}

  /**
   * {@code split}, and from the right {@code rsplit}.
   *
   * @param arguments {@code sep}, white space by default, and {@code maxsplit}
   */
  static List<Object> split(Text text, Arguments arguments, boolean right, RenderLimits budget) {
    Object[] bound = arguments.bind("sep", "maxsplit");
    long most = bound[1] == null ? -1 : JinjaValues.whole(bound[1]);
    most = most < 0 ? Long.MAX_VALUE : most;
    if (bound[0] == null || bound[0] == None.NONE) {
      return words(text, most, right, budget);
    }
    Text separator = JinjaValues.text(bound[0]);
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

  /** Splits off up to {@code most} words. */
  private static List<Object> words(Text text, long most, boolean right, RenderLimits budget) {
    List<int[]> words = new ArrayList<>();
    for (int at = space(text, 0, true); at < text.length(); ) {
      budget.spendOnTexts(1);
      int end = space(text, at, false);
      words.add(new int[] {at, end});
      at = space(text, end, true);
    }
    int left = (int) Math.max(0, words.size() - most); // words in the unsplit rest
    if (left > 0 && right) {
      words.subList(0, left - 1).clear();
      words.getFirst()[0] = 0;
    } else if (left > 0) {
      words.subList((int) most + 1, words.size()).clear();
      words.getLast()[1] = text.length();
    }
    List<Object> parts = new ArrayList<>();
    words.forEach(word -> parts.add(text.slice(word[0], word[1])));
    return parts;
  }

  /** The first index from {@code at} that is not, or is, white space. */
  private static int space(Text text, int at, boolean skipped) {
    int next = at;
    while (next < text.length() && Chars.isSpace(text.chars().charAt(next)) == skipped) {
      next++;
    }
    return next;
  }

  static List<Object> lines(Text text, RenderLimits budget) {
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

  /** The parts before, at and after the first separator. */
  static Tuple partition(Text text, Object separator, RenderLimits budget) {
    Text sought = JinjaValues.text(separator);
    int at = budget.find(text, sought, 0);
    return at < 0
        ? Tuple.of(text, Text.EMPTY, Text.EMPTY)
        : Tuple.of(
            text.slice(0, at),
            text.slice(at, at + sought.length()),
            text.slice(at + sought.length(), text.length()));
  }
}
