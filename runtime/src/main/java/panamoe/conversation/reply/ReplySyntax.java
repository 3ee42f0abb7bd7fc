package panamoe.conversation.reply;

import panamoe.grammar.CallMarkup;

/** How a family of models writes its replies. Immutable and thread-safe. */
interface ReplySyntax {
  /** What a grammar lets a model write. */
  CallMarkup form();

  /**
   * Makes what reads a reply.
   *
   * @param calling whether functions can be called; else what looks like a call is content
   */
  ReplyReader reader(boolean calling);
}
