package panamoe.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;

/**
 * A conversation with a {@link TextService}, which remembers its messages. The keys and values of
 * earlier messages stay in the model's cache while other requests leave room for them, so a reply
 * computes only what is new ({@code cached} of {@link GenerationResult.Usage}). Any thread may call
 * it; one reply at a time is written.
 *
 * {@snippet file="panamoe/text/TextServiceExample.java" region="session"}
 */
public final class ChatSession {
  private final TextService service;
  private final ChatOptions options;
  private final List<ChatMessage> messages; // guarded by this, as the next two
  private List<ChatMessage> asked = List.of(); // what the latest reply answers
  private TextCompletion latest; // null if it is over

  ChatSession(TextService service, List<ChatMessage> before, ChatOptions options) {
    this.service = service;
    this.options = options;
    this.messages = new ArrayList<>(before);
  }

  /** Begins the reply to a message of the user; see below. */
  public TextCompletion reply(String content) {
    return reply(ChatMessage.user(content));
  }

  /**
   * Begins the reply to further messages, such as the results of calls. When it has ended on its
   * own, they and the reply belong to the conversation; if it fails, is cancelled or too late, none
   * of them does.
   *
   * @throws IllegalStateException if the reply before has not ended, and like {@link
   *     TextService#submit}
   * @throws panamoe.api.PanamoeException like {@link TextService#submit}
   */
  public synchronized TextCompletion reply(ChatMessage... next) {
    List<ChatMessage> all = new ArrayList<>(messages());
    if (latest != null) {
      throw new IllegalStateException("the reply before has not ended: wait for it, or cancel it");
    }
    List<ChatMessage> more =
        Arrays.asList(Failures.translating(() -> Argument.notNull("messages", next)));
    all.addAll(more);
    latest = service.submit(TextRequest.of(all, options));
    asked = more;
    return latest;
  }

  /** The messages so far. */
  public synchronized List<ChatMessage> messages() {
    if (latest != null && latest.hasEnded()) {
      GenerationResult reply = latest.whole();
      if (reply != null) {
        take(reply);
      }
      latest = null;
    }
    return List.copyOf(messages);
  }

  private void take(GenerationResult reply) {
    switch (reply.finishReason()) {
      case CANCELLED, DEADLINE -> {}
      case END_OF_TEXT, STOP, LENGTH, CONTEXT -> {
        messages.addAll(asked);
        messages.add(reply.message());
      }
    }
  }
}
