package panamoe.text;

import java.util.Optional;
import java.util.function.Consumer;
import panamoe.conversation.reply.Reply;

/**
 * A reply that is written piece by piece, as the caller asks for it; as {@link TextSession}, with
 * whose texts it advances. One thread at a time may call it; {@link #cancel} any.
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
   * The next piece, of which something is not empty; empty when the reply has ended.
   *
   * @throws RuntimeException as {@link TextSession#next}
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

  /** As {@link TextSession#cancel}. */
  public void cancel() {
    session.cancel();
  }

  /** Draws the reply to its end, and closes the session. */
  ChatReply toEnd(Consumer<ChatPiece> onPiece) {
    try (this) {
      for (Optional<ChatPiece> next = next(); next.isPresent(); next = next()) {
        onPiece.accept(next.get());
      }
      return result();
    }
  }

  /**
   * The whole reply, once {@link #next} has given all of it.
   *
   * @throws RuntimeException as {@link TextSession#result}
   */
  public ChatReply result() {
    GenerationResult text = session.result();
    if (!ended) {
      throw new IllegalStateException("the reply has not been drawn to its end");
    }
    return new ChatReply(ChatMessage.of(reply), text);
  }

  /** Cancels the reply if it has not ended. Idempotent; throws as {@link MoeModel#close} does. */
  @Override
  public void close() {
    session.close();
  }
}
