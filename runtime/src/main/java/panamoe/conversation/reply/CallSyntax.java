package panamoe.conversation.reply;

import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import panamoe.grammar.CallMarkup;
import panamoe.grammar.Elements;
import panamoe.grammar.MarkupPattern;
import tools.jackson.databind.JsonNode;

/**
 * The markup of calls within the content of a reply.
 *
 * @param open before the first call; may have {@link panamoe.data.Markers}
 * @param spaced whether a model may write a space before it
 * @param listed whether further calls follow without an opener
 * @param calls the markup around the name and the arguments of each call
 * @param id makes call ids
 */
record CallSyntax(
    String open, boolean spaced, boolean listed, CallMarkup.Calls calls, Supplier<String> id)
    implements ReplySyntax {
  @Override
  public CallMarkup form() {
    MarkupPattern opening = MarkupPattern.of(spaced ? " " + open : open);
    return new CallMarkup(List.of(open), "", opening, calls, MarkupPattern.EMPTY);
  }

  @Override
  public ReplyReader reader(Map<String, JsonNode> functions) {
    return functions.isEmpty() ? ReplyReader.CONTENT : new CallReader(this, functions);
  }

  /** From after the opener to the arguments; group 1 is the name. */
  Pattern head() {
    return Pattern.compile(calls.first().pattern() + nextHead().pattern());
  }

  /** From after the opener to the arguments of a further call in a list. */
  Pattern nextHead() {
    Elements elements = calls.elements();
    String arguments =
        elements == null ? "\\{" : elements.before().pattern() + "|" + calls.after().pattern();
    return Pattern.compile("([\\w-]+)" + calls.between().pattern() + "(?=" + arguments + ")");
  }

  /** After arguments; if group 1 matches, another head follows. */
  Pattern tail() {
    MarkupPattern next = listed ? calls.next() : MarkupPattern.NEVER;
    return Pattern.compile(
        calls.after().pattern() + "(?:(" + next.pattern() + ")|" + calls.last().pattern() + ")");
  }
}
