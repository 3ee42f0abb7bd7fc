package panamoe.grammar;

import static panamoe.grammar.Rules.literal;
import static panamoe.grammar.Rules.sequence;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.SortedMap;
import panamoe.data.Markers;
import tools.jackson.databind.JsonNode;

/**
 * Arguments of a call as elements, one for each: its name, and its value up to an end. A string is
 * plain text without quotes and escapes, other values are JSON. Immutable and thread-safe.
 *
 * @param before before a name
 * @param named between name and value
 * @param padding next to a value, on both sides; the reader does without
 * @param end after a value; with {@link Markers}
 */
public record Elements(MarkupPattern before, MarkupPattern named, String padding, String end) {
  ObjectRules.Marks marks() {
    Rule begin = before.rule();
    return new ObjectRules.Marks(Rule.EMPTY, begin, begin, named.rule(), Rule.EMPTY, false);
  }

  /** The rule of a value that another rule reads, and its end. */
  Rule value(Rule inner) {
    return sequence(literal(padding), inner, literal(padding), literal(Markers.bytes(end)));
  }

  /** The rule of one of some strings, and its end. */
  Rule texts(Iterable<JsonNode> strings) {
    SortedMap<byte[], Rule> words = WordList.map();
    strings.forEach(
        each -> words.put(Markers.bytes(each.stringValue() + padding + end), Rule.EMPTY));
    return sequence(literal(padding), WordList.rule(words));
  }

  /** The rule of any text, and its end, which does not occur in it. */
  Rule text() {
    String bytes = new String(Markers.bytes(end), StandardCharsets.ISO_8859_1);
    return sequence(literal(padding), new Rule.Until(bytes, 0));
  }

  /** The rule of text, and its end; {@code inner} reads up to {@link #textEnd}. */
  Rule text(Rule inner) {
    byte[] rest = Markers.bytes(padding + end);
    return sequence(literal(padding), inner, literal(Arrays.copyOfRange(rest, 1, rest.length)));
  }

  /** The byte at which a text ends that keeps to a shape. */
  int textEnd() {
    return Markers.bytes(padding + end)[0] & 0xff;
  }
}
