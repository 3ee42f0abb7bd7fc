package panamoe.conversation.reply;

import java.util.Map;
import panamoe.grammar.CallMarkup;
import tools.jackson.databind.JsonNode;

/** The markup of replies of a model family. Immutable and thread-safe. */
interface ReplySyntax {
  /** The markup of calls, for a grammar. */
  CallMarkup form();

  /**
   * Creates a reader for one reply.
   *
   * @param functions that can be called, with the schemas of their arguments; with none, what looks
   *     like a call is content
   */
  ReplyReader reader(Map<String, JsonNode> functions);
}
