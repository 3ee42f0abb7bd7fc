package panamoe.conversation.reply;

import panamoe.grammar.CallMarkup;

/** The markup of replies of a model family. Immutable and thread-safe. */
interface ReplySyntax {
  /** The markup of calls, for a grammar. */
  CallMarkup form();

  /**
   * Creates a reader for one reply.
   *
   * @param calling whether functions can be called; else what looks like a call is content
   */
  ReplyReader reader(boolean calling);
}
