package panamoe.conversation.reply;

import java.util.List;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import panamoe.grammar.CallMarkup;
import panamoe.grammar.MarkupPattern;

/**
 * Calls within the content of a reply.
 *
 * @param open before the first call, which may have {@link panamoe.data.Markers}
 * @param spaced whether a model may write a space before that
 * @param listed whether calls behind the first need no opening of their own
 * @param calls what is around the name and the arguments of each
 * @param id makes the id of a call
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
  public ReplyReader reader(boolean calling) {
    return calling ? new CallReader(this) : ReplyReader.CONTENT;
  }

  /** From behind the opening to the arguments; the group is the name. */
  Pattern head() {
    return Pattern.compile(calls.first().pattern() + nextHead().pattern());
  }

  /** The same of a call in a list behind the first. */
  Pattern nextHead() {
    return Pattern.compile("([\\w-]+)" + calls.between().pattern() + "(?=\\{)");
  }

  /** Behind arguments; if the group matches, another head follows. */
  Pattern tail() {
    MarkupPattern next = listed ? calls.next() : MarkupPattern.NEVER;
    return Pattern.compile(
        calls.after().pattern() + "(?:(" + next.pattern() + ")|" + calls.last().pattern() + ")");
  }
}
