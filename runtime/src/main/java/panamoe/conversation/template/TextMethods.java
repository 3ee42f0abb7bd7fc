package panamoe.conversation.template;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import java.util.function.IntPredicate;

final class TextMethods {
  private TextMethods() {}

  /** The method of a name; null if strings do not have it. */
  static Function method(Text text, String name, RenderLimits budget) {
    budget.spendOn(text);
    return switch (name) {
      case "strip" -> arguments -> strip(text, arguments.bind("chars")[0], true, true);
      case "lstrip" -> arguments -> strip(text, arguments.bind("chars")[0], true, false);
      case "rstrip" -> arguments -> strip(text, arguments.bind("chars")[0], false, true);
      case "upper" -> _ -> text.map(part -> part.toUpperCase(Locale.ROOT));
      case "lower" -> _ -> text.map(part -> part.toLowerCase(Locale.ROOT));
      case "title" -> _ -> title(text);
      case "capitalize" -> _ -> capitalize(text);
      case "startswith" -> arguments -> begins(text, arguments.one("prefix"), true);
      case "endswith" -> arguments -> begins(text, arguments.one("suffix"), false);
      case "removeprefix" -> arguments -> without(text, arguments.one("prefix"), true);
      case "removesuffix" -> arguments -> without(text, arguments.one("suffix"), false);
      case "split" -> arguments -> Splitting.split(text, arguments, false, budget);
      case "rsplit" -> arguments -> Splitting.split(text, arguments, true, budget);
      case "splitlines" -> _ -> Splitting.lines(text, budget);
      case "partition" -> arguments -> Splitting.partition(text, arguments.one("sep"), budget);
      case "replace" ->
          arguments -> {
            Object[] bound = arguments.bind("old", "new", "count");
            return replace(
                text,
                JinjaValues.text(Arguments.required(bound[0], "old")),
                JinjaValues.text(Arguments.required(bound[1], "new")),
                bound[2],
                budget);
          };
      case "join" -> arguments -> join(text, arguments.one("items"), budget);
      case "find" -> arguments -> place(text, arguments, budget);
      case "index" ->
          arguments -> {
            long place = place(text, arguments, budget);
            if (place < 0) {
              throw new TemplateException("substring not found");
            }
            return place;
          };
      case "count" ->
          arguments -> (long) places(text, JinjaValues.text(arguments.one("sub")), budget).size();
      case "format" -> arguments -> Formatting.braces(text, arguments);
      case "zfill" ->
          arguments -> {
            int sign = text.chars().startsWith("-") || text.chars().startsWith("+") ? 1 : 0;
            long zeros = JinjaValues.whole(arguments.one("width")) - Chars.count(text);
            return zeros <= 0
                ? text
                : text.slice(0, sign)
                    .plus(repeat(Text.of("0"), zeros))
                    .plus(text.slice(sign, text.length()));
          };
      case "isdigit" -> _ -> all(text, Character::isDigit);
      case "isalpha" -> _ -> all(text, Character::isLetter);
      case "isalnum" -> _ -> all(text, Character::isLetterOrDigit);
      case "isspace" -> _ -> all(text, Chars::isSpace);
      case "isupper" -> _ -> isCase(text, Character::isLowerCase, Character::isUpperCase);
      case "islower" -> _ -> isCase(text, Character::isUpperCase, Character::isLowerCase);
      default -> null;
    };
  }

  /**
   * Strips characters at both ends.
   *
   * @param chars the characters; null or none for white space
   */
  static Text strip(Text text, Object chars, boolean left, boolean right) {
    IntPredicate removed = Chars::isSpace;
    if (chars != null && chars != None.NONE) {
      BitSet only = new BitSet();
      JinjaValues.text(chars).chars().codePoints().forEach(only::set);
      removed = only::get;
    }
    int begin = 0;
    int end = text.length();
    while (left && begin < end && removed.test(text.chars().codePointAt(begin))) {
      begin += Character.charCount(text.chars().codePointAt(begin));
    }
    while (right && end > begin && removed.test(text.chars().codePointBefore(end))) {
      end -= Character.charCount(text.chars().codePointBefore(end));
    }
    return text.slice(begin, end);
  }

  static Text capitalize(Text text) {
    int first = text.isEmpty() ? 0 : text.chars().offsetByCodePoints(0, 1);
    return text.slice(0, first)
        .map(part -> part.toUpperCase(Locale.ROOT))
        .plus(text.slice(first, text.length()).map(part -> part.toLowerCase(Locale.ROOT)));
  }

  static Text title(Text text) {
    Text.Builder title = new Text.Builder();
    boolean inside = false;
    for (int at = 0; at < text.length(); ) {
      int point = text.chars().codePointAt(at);
      int next = at + Character.charCount(point);
      boolean follows = inside;
      title.append(
          text.slice(at, next)
              .map(
                  part ->
                      follows
                          ? part.toLowerCase(Locale.ROOT)
                          : Character.toString(Character.toTitleCase(part.codePointAt(0)))));
      inside = Character.isLetter(point);
      at = next;
    }
    return title.text();
  }

  private static Text without(Text text, Object affix, boolean atBegin) {
    int length = JinjaValues.text(affix).length();
    return !begins(text, JinjaValues.text(affix), atBegin)
        ? text
        : atBegin ? text.slice(length, text.length()) : text.slice(0, text.length() - length);
  }

  private static boolean begins(Text text, Object affix, boolean atBegin) {
    if (affix instanceof Tuple any) {
      return any.stream().anyMatch(one -> begins(text, JinjaValues.text(one), atBegin));
    }
    String sought = JinjaValues.text(affix).chars();
    return atBegin ? text.chars().startsWith(sought) : text.chars().endsWith(sought);
  }

  /** The indices of {@code sought} in a string, without overlap. */
  static List<Integer> places(Text text, Text sought, RenderLimits budget) {
    List<Integer> places = new ArrayList<>();
    if (sought.isEmpty()) {
      throw new TemplateException("the string that is sought is empty");
    }
    budget.spend((long) text.length() * sought.length() / 1024);
    int at = text.chars().indexOf(sought.chars());
    while (at >= 0) {
      budget.spend(1);
      places.add(at);
      at = text.chars().indexOf(sought.chars(), at + sought.length());
    }
    return places;
  }

  /**
   * @param count most replacements; null, none or negative for all
   */
  static Text replace(Text text, Text old, Text by, Object count, RenderLimits budget) {
    long most = count == null || count == None.NONE ? -1 : JinjaValues.whole(count);
    Text.Builder replaced = new Text.Builder();
    int done = 0;
    for (int at : places(text, old, budget)) {
      if (most == 0) {
        break;
      }
      most--;
      replaced.append(text, done, at).append(by);
      done = at + old.length();
    }
    return replaced.append(text, done, text.length()).text();
  }

  static Text join(Text separator, Object items, RenderLimits budget) {
    Text.Builder joined = new Text.Builder();
    boolean first = true;
    for (Object item : JinjaValues.elements(items, budget)) {
      joined.append(first ? Text.EMPTY : separator).append(JinjaValues.text(item));
      budget.spend(1);
      first = false;
    }
    return joined.text();
  }

  static Text repeat(Text text, long times) {
    if (times > 0 && text.length() > Text.MOST / times) {
      throw new TemplateException("the string grows beyond 16 Mi characters");
    }
    Text.Builder repeated = new Text.Builder();
    for (long i = 0; i < times && !text.isEmpty(); i++) {
      repeated.append(text);
    }
    return repeated.text();
  }

  private static long place(Text text, Arguments arguments, RenderLimits budget) {
    Object[] bound = arguments.bind("sub", "start");
    Text sought = JinjaValues.text(Arguments.required(bound[0], "sub"));
    int from = 0;
    if (bound[1] != null) {
      int size = Chars.count(text);
      long start = JinjaValues.whole(bound[1]);
      from = Chars.offset(text, Math.clamp(start < 0 ? start + size : start, 0, size));
    }
    int found = budget.find(text, sought, from);
    return found < 0 ? -1 : text.chars().codePointCount(0, found);
  }

  private static boolean all(Text text, IntPredicate is) {
    return !text.isEmpty() && text.chars().codePoints().allMatch(is);
  }

  private static boolean isCase(Text text, IntPredicate none, IntPredicate some) {
    return text.chars().codePoints().noneMatch(none) && text.chars().codePoints().anyMatch(some);
  }
}
