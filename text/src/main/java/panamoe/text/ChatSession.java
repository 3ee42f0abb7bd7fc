package panamoe.text;

import java.util.Optional;
import java.util.function.Consumer;
import panamoe.conversation.reply.Reply;

/**
 * A reply that the caller generates piece by piece, like {@link TextSession}; the sequences of both
 * advance together. One thread at a time may call it; {@link #cancel} any.
 */
public final class ChatSession implements AutoCloseable {
  private final TextSession session;
  private final Reply reply;
  private boolean ended;

  ChatSession(TextSession session, Reply reply) {
    this.session = session;
    this.reply = reply;
  }

  /**
   * The next piece, with at least one part not empty; empty when the reply has ended.
   *
   * @throws RuntimeException like {@link TextSession#next}
   */
  public Optional<ChatPiece> next() {
    while (!ended) {
      Optional<Token> token = session.nextMarked();
      ended = token.isEmpty();
      Reply.Read read =
          ended ? reply.end(session.generation().cut()) : reply.next(token.get().text());
      if (!read.reasoning().isEmpty() || !read.content().isEmpty()) {
        return Optional.of(new ChatPiece(read.reasoning(), read.content()));
      }
    }
    return Optional.empty();
  }

  /** Like {@link TextSession#cancel}. */
  public void cancel() {
    session.cancel();
  }

  /** Generates the rest of the reply, and closes the session. */
  ChatReply toEnd(Consumer<ChatPiece> onPiece) {
    try (this) {
      for (Optional<ChatPiece> next = next(); next.isPresent(); next = next()) {
        onPiece.accept(next.get());
      }
      return result();
    }
  }

  /**
   * The whole reply, after {@link #next} has returned all of it.
   *
   * @throws RuntimeException like {@link TextSession#result}
   */
  public ChatReply result() {
    GenerationResult text = session.result();
    if (!ended) {
      throw new IllegalStateException("the reply has not ended");
    }
    return new ChatReply(ChatMessage.of(reply), text);
  }

  /** Cancels the reply if it has not ended. Idempotent; throws like {@link MoeModel#close}. */
  @Override
  public void close() {
    session.close();
  }
}
