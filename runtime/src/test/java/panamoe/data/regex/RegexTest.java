package panamoe.data.regex;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RegexTest {
  private static final String QWEN =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r"
          + "\\n"
          + "\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r"
          + "\\n"
          + "]*|\\s*[\\r"
          + "\\n"
          + "]+|\\s+(?!\\S)|\\s+";
  private static final String O200K =
      "[^\\r"
          + "\\n"
          + "\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r"
          + "\\n"
          + "\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+"
          + "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}|"
          + " ?[^\\s\\p{L}\\p{N}]+[\\r"
          + "\\n"
          + "/]*|\\s*[\\r"
          + "\\n"
          + "]+|\\s+(?!\\S)|\\s+";

  @ParameterizedTest
  @ValueSource(strings = {QWEN, O200K})
  void findsWhatJavaFinds(String pattern) {
    Random random = new Random(1);
    String alphabet = "aZsStTrRlLéßΩж中\u0301'’ \t\r\n\u00a0\u3000\u0085 1٣½🦙𝒜/.!_-";
    Matcher matcher = Regex.compile(pattern).matcher();
    for (int trial = 0; trial < 10_000; trial++) {
      String text = text(random, alphabet, random.nextInt(30));
      assertEquals(javas(pattern, text), found(matcher, text), () -> "in '" + text + "'");
    }
  }

  /** Random patterns of the features of both engines, on texts of a few characters. */
  @Test
  void findsWhatJavaFindsByRandomPatterns() {
    Random random = new Random(2);
    for (int trial = 0; trial < 30_000; trial++) {
      String pattern = pattern(random, 3);
      String text = text(random, "abcA1 \n", random.nextInt(14));
      assertEquals(javas(pattern, text), ours(pattern, text), () -> pattern + " in '" + text + "'");
    }
  }

  /** A pattern, a text and its first match. */
  @Test
  void knowsOnigurumasWays() {
    String[][] cases = {
      {"a++", "xaaab", "aaa"},
      {"a?+b", "aab", "ab"},
      {"a*+a", "aaa", ""},
      {"[abc]++c", "abc", ""},
      {"\\p{Han}+", "ab中文c", "中文"},
      {"[\\p{L}&&[^\\p{Han}]]+", "中ab文", "ab"},
      {"\\x41\\x{1F999}\\u0042", "xA🦙B", "A🦙B"},
      {"(?i:k)", "\u212a", "\u212a"},
      {"(?i:s)", "ſ", "ſ"},
      {"(?i:i)", "İ", ""},
      {"\\P{L}\\p{^L}", "1!", "1!"},
      {"a{,2}b", "aaab", "aab"},
      {"a{2}{2}", "aaaaaa", "aaaa"},
      {"a{1,2}+", "aaaaa", "aaaaa"},
      {"a{x}", "a{x}", "a{x}"},
      {"[]a]+", "]a", "]a"},
      {"[a-c-]+", "-b-", "-b-"},
      {"[^a[bc]]+", "abcd", "d"},
      {"a(?i)b|c", "aB", "aB"},
      {"a(?i)b|c", "aC", "aC"},
      {"x$", "xx\nx", "x"},
      {"a\\z", "aa", "a"},
      {"(?=a(?!b))a", "abaa", "a"},
      {"[\\d-]+", "1-2", "1-2"},
      {".+", "a\nb", "a"},
      {"[\\r\\n/]+", "\r/\n", "\r/\n"},
      {"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+", "a]b", "]b"}
    };
    for (String[] one : cases) {
      Matcher matcher = Regex.compile(one[0]).matcher();
      matcher.reset(one[1].toCharArray(), 0, one[1].length());
      String found = matcher.find() ? one[1].substring(matcher.start(), matcher.end()) : "";
      assertEquals(one[2], found, () -> one[0] + " in " + one[1]);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "L",
        "Lu",
        "Ll",
        "Lt",
        "Lm",
        "Lo",
        "M",
        "Mn",
        "Me",
        "Mc",
        "N",
        "Nd",
        "Nl",
        "No",
        "Z",
        "Zs",
        "Zl",
        "Zp",
        "C",
        "Cc",
        "Cf",
        "Co",
        "Cn",
        "P",
        "Pd",
        "Ps",
        "Pe",
        "Pc",
        "Po",
        "Pi",
        "Pf",
        "S",
        "Sm",
        "Sc",
        "Sk",
        "So",
        "Han",
        "Hiragana",
        "Latin"
      })
  void propertiesAreJavas(String name) {
    Pattern expected =
        Pattern.compile(name.length() < 3 ? "\\p{" + name + "}" : "\\p{Is" + name + "}");
    CodeSet set = CodeSets.property(name);
    for (int point = 0; point < CodeSet.LIMIT; point++) {
      boolean surrogate = point < 0x10000 && Character.isSurrogate((char) point);
      if (!surrogate
          && expected.matcher(Character.toString(point)).matches() != set.contains(point)) {
        throw new AssertionError("U+%04X".formatted(point));
      }
    }
  }

  @Test
  void findsEmptyMatchesButNotBehindAMatch() {
    assertEquals(List.of("0-2", "3-3", "4-4"), ours("a*", "aabb"));
    assertEquals(List.of("0-0", "2-2"), ours("x*", "🦙"));
    assertEquals(List.of("0-0"), ours("", ""));
  }

  /** A text of many parts gives the matches of its parts, and a block's end is not the text's. */
  @Test
  void longTextsAreReadInBlocks() {
    String unit = "It's 12345 🦙 times,  \n\n (ab)*c\t";
    int repeats = 5000;
    List<String> expected = javas(QWEN, unit.repeat(repeats));
    assertEquals(expected, ours(QWEN, unit.repeat(repeats)));
    String spaces = " ".repeat(100_000) + "x";
    assertEquals(javas(QWEN, spaces), ours(QWEN, spaces));
  }

  /** The reverse automaton of the first pattern has a state for each text of 16 letters. */
  @Test
  void manyStatesDoNotChangeTheResult() {
    Random random = new Random(3);
    String pattern = "a(?=[ab]{15}a)|b(?=[ab]{13}b)b?";
    String text = text(random, "ab", 30_000);
    assertEquals(javas(pattern, text), ours(pattern, text));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "(a+)+$",
        "(a|aa)+$",
        "(a*)*b",
        "a+b|a",
        "(.*)*x|a",
        "((a?){20}){10}a",
        "(?:a|b|ab)*c|a",
        "(?!a*b)a"
      })
  void hostilePatternsTakeTimeInProportion(String pattern) {
    String text = "a".repeat(200_000);
    Matcher matcher = Regex.compile(pattern).matcher();
    matcher.reset(text.toCharArray(), 0, text.length());
    int found = 0;
    while (matcher.find()) {
      found++;
    }
    assertTrue(found <= text.length());
  }

  @Test
  void inAClassBIsBackspace() {
    assertEquals(List.of("1-2"), ours("[\\b]", "a\bc"));
  }

  @Test
  void refusesByName() {
    String[][] cases = {
      {"(", "( without its )"},
      {")", "closes nothing"},
      {"[a", "an end"},
      {"a{3,2}", "{3,2}"},
      {"*", "quantifier of nothing"},
      {"(?<=a)b", "look-behind"},
      {"(?<!a)b", "look-behind"},
      {"^a", "anchor ^"},
      {"a\\b", "escape \\b"},
      {"(a)\\1", "escape \\1"},
      {"\\h", "escape \\h"},
      {"(?>a)", "atomic"},
      {"(ab)++", "possessive"},
      {"\\p{Nonsense}", "property Nonsense"},
      {"\\p{L", "without its }"},
      {"\\pL", "without braces"},
      {"[[:alpha:]]", "POSIX"},
      {"[z-a]", "range"},
      {"a{1001}", "above 1000"},
      {"(a{1000}){1000}", "too large"},
      {"a*****", "in a row"},
      {"\\", "an end"},
      {"\\x{110000}", "U+10FFFF"},
      {"(?x)a", "(?x"},
      {"(?<n>a)", "(?<"},
      {"a{2}?", "{n}?"},
      {"\\ud83d", "half of a surrogate pair"}
    };
    for (String[] one : cases) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> Regex.compile(one[0]), one[0]);
      assertTrue(e.getMessage().contains(one[1]), one[0] + ": " + e.getMessage());
    }
  }

  @Test
  void refusesWhatIsTooDeepOrTooLong() {
    for (String pattern :
        List.of(
            "(".repeat(5000),
            "[".repeat(5000),
            "(?:".repeat(60) + ")".repeat(60),
            "(".repeat(100_000) + ")".repeat(100_000),
            "((){1000}){1000}".repeat(10) + "\\q",
            "a?".repeat(300))) {
      assertThrows(IllegalArgumentException.class, () -> Regex.compile(pattern));
    }
    Regex.compile("(((((){1000}){1000}){1000}){1000}){1000}");
  }

  private static String pattern(Random random, int depth) {
    return switch (depth == 0 ? random.nextInt(5) : random.nextInt(14)) {
      case 0, 1 -> String.valueOf("abc".charAt(random.nextInt(3)));
      case 2 -> List.of("[ab]", "[^a]", "[a-c1]", ".", "[^\\s]").get(random.nextInt(5));
      case 3 -> List.of("\\s", "\\S", "\\d", "\\p{L}", "\\p{N}", "\\P{N}").get(random.nextInt(6));
      case 4 -> "";
      case 5, 6, 7 -> pattern(random, depth - 1) + pattern(random, depth - 1);
      case 8, 9 -> "(?:" + pattern(random, depth - 1) + "|" + pattern(random, depth - 1) + ")";
      case 10 -> "(?" + "=!".charAt(random.nextInt(2)) + pattern(random, depth - 1) + ")";
      case 11 -> "(?i:" + pattern(random, depth - 1) + ")";
      // Java ends a counted loop at an empty round, whatever the count.
      case 12 ->
          "(?:"
              + pattern(random, depth - 1)
              + "[abA])"
              + List.of("{2}", "{1,3}", "{2,}", "{1,2}?").get(random.nextInt(4));
      default ->
          "(?:"
              + pattern(random, depth - 1)
              + ")"
              + List.of("?", "*", "+", "??", "*?", "+?").get(random.nextInt(6));
    };
  }

  private static String text(Random random, String alphabet, int length) {
    int[] points = alphabet.codePoints().toArray();
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < length; i++) {
      text.appendCodePoint(points[random.nextInt(points.length)]);
    }
    return text.toString();
  }

  private static List<String> ours(String pattern, String text) {
    return found(Regex.compile(pattern).matcher(), text);
  }

  private static List<String> found(Matcher matcher, String text) {
    // Text around the range must not be seen.
    matcher.reset(("a " + text + "\nb").toCharArray(), 2, 2 + text.length());
    List<String> found = new ArrayList<>();
    while (matcher.find()) {
      found.add(matcher.start() - 2 + "-" + (matcher.end() - 2));
    }
    return found;
  }

  /** Java's matches, without empty ones directly after a match. */
  private static List<String> javas(String pattern, String text) {
    // Java's . stops at more line ends; its \s and (?i) are ASCII only.
    String translated =
        pattern
            .replace(".", "[^\\n]")
            .replace("\\s", "\\p{IsWhite_Space}")
            .replace("\\S", "\\P{IsWhite_Space}");
    java.util.regex.Matcher matcher =
        Pattern.compile(translated, Pattern.UNICODE_CASE).matcher(text);
    List<String> found = new ArrayList<>();
    int last = -1;
    while (matcher.find()) {
      if (matcher.end() > matcher.start() || matcher.start() != last) {
        found.add(matcher.start() + "-" + matcher.end());
      }
      last = matcher.end();
    }
    return found;
  }
}
