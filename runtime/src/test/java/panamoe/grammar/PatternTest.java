package panamoe.grammar;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.data.TinyTokenizer;
import tools.jackson.databind.node.StringNode;

/** A pattern is found in the strings in which Java's regular expressions find it. */
class PatternTest {
  private static final String ALPHABET = "abc01-_. \n\"\\é😀";

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "a",
        "^a",
        "a$",
        "^ab|c$",
        "^(ab|c)*$",
        "^(?:a*b?)*$",
        "^(a?){2,3}$",
        "^((a|b){1,2}c?)+$",
        "^(?<name>a)+b*?$",
        "^a{2}$",
        "^a{2,}b{0,1}$",
        "^[a-c]+$",
        "^[^a-c]+$",
        "^[-a_]+$",
        "^[\\d.-]{2,4}$",
        "^\\w+\\W\\w+$",
        "^\\D\\S$",
        "^.+$",
        "\\.",
        "^[\\\\\"]+$",
        "^\\u0061\\x62$",
        "^é+|😀$",
        "^(|a|ab)(c|bc)$",
        "^(a*)*b$",
        "^(a|aa)+$",
      })
  void isFoundWhereJavaFindsIt(String pattern) {
    JsonGrammar grammar = grammar(pattern, 0, 1000);
    // Java's . and $ know more ends of lines than JavaScript's.
    Pattern expected = Pattern.compile(pattern.replace(".+", "[^\\n]+").replace("$", "\\z"));
    Random random = new Random(pattern.hashCode());
    int found = 0;
    for (int i = 0; i < 1500; i++) {
      String text = text(random);
      boolean accepted = grammar.accepts(json(text));
      assertEquals(expected.matcher(text).find(), accepted, text);
      found += accepted ? 1 : 0;
    }
    assertTrue(found > 0, "no text has the pattern");
  }

  @Test
  void aLengthBesideAPatternHoldsToo() {
    Random random = new Random(5);
    Pattern java = Pattern.compile("^(ab|c)*\\z");
    for (int min = 0; min < 4; min++) {
      for (int max = min; max < 6; max++) {
        JsonGrammar grammar = grammar("^(ab|c)*$", min, max);
        for (int i = 0; i < 300; i++) {
          String text = text(random);
          int length = text.codePointCount(0, text.length());
          boolean inside = java.matcher(text).find() && length >= min && length <= max;
          assertEquals(inside, grammar.accepts(json(text)), text);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "(", ")", "a)", "(a", "[a", "a{", "a{2,1}", "a{1001}", "*a", "a**", "a\\", "\\b", "\\1",
        "\\p{L}", "\\cA", "a^b", "(^a)", "(a$)", "a$b", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)",
        "(?<a", "(?i)a", "{1}", "}", "]", "[b-a]", "\\ud83d", "[a-\\d]", "\\u12", "\\xg0", "a{,2}",
        "\\a", "\\x4", "\\x{41}", "\\z", "a*+", "(?>a)"
      })
  void othersAreRefused(String pattern) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> grammar(pattern, 0, 9)).getMessage();
    assertEquals(
        "the schema's \"pattern\" at # cannot be followed: ",
        message.substring(0, message.indexOf(": ") + 2));
  }

  /** What nests classes for tokenizers is a character here. */
  @Test
  void classesHoldBracketsAndAmpersands() {
    assertTrue(grammar("^[[&&a]+$", 0, 9).accepts(json("[&a")));
    assertTrue(grammar("^[[:]+$", 0, 9).accepts(json("[:")));
    assertTrue(grammar("^[^]\\s$", 0, 9).accepts(json("\n\ufeff")));
    assertFalse(grammar("^\\d$", 0, 9).accepts(json("\u0663")));
  }

  private static JsonGrammar grammar(String pattern, int min, int max) {
    return JsonGrammar.of(
        TinyTokenizer.MAPPER
            .createObjectNode()
            .put("type", "string")
            .put("pattern", pattern)
            .put("minLength", min)
            .put("maxLength", max));
  }

  /** Most texts are of few letters, so that patterns are found. */
  private static String text(Random random) {
    int[] letters = ALPHABET.codePoints().toArray();
    int some = random.nextBoolean() ? 3 : letters.length;
    StringBuilder text = new StringBuilder();
    for (int length = random.nextInt(7); length > 0; length--) {
      text.appendCodePoint(letters[random.nextInt(some)]);
    }
    return text.toString();
  }

  private static byte[] json(String text) {
    return StringNode.valueOf(text).toString().getBytes(UTF_8);
  }
}
