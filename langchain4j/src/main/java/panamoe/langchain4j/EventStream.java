package panamoe.langchain4j;

import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.response.ChatModelStreamingEvent;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.CompleteResponse;
import dev.langchain4j.model.chat.response.CompleteToolCall;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.PartialThinking;
import dev.langchain4j.model.chat.response.PartialThinkingContext;
import dev.langchain4j.model.chat.response.PartialToolCall;
import dev.langchain4j.model.chat.response.PartialToolCallContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.chat.response.StreamingHandle;
import java.util.concurrent.Executors;
import java.util.concurrent.Flow;
import java.util.concurrent.SubmissionPublisher;

/** A handler's calls as events for a subscriber. One that is slow holds only its own reply up. */
final class EventStream implements StreamingChatResponseHandler {
  private static final int MOST_WAITING = 256;

  private final SubmissionPublisher<ChatModelStreamingEvent> events =
      new SubmissionPublisher<>(Executors.newVirtualThreadPerTaskExecutor(), MOST_WAITING);

  private EventStream() {}

  /** Submits the request, and its reply to the subscriber. */
  static void send(
      PanamoeStreamingChatModel model,
      ChatRequest request,
      Flow.Subscriber<? super ChatModelStreamingEvent> subscriber) {
    EventStream stream = new EventStream();
    stream.events.subscribe(subscriber);
    model.doChat(request, stream);
  }

  private void put(ChatModelStreamingEvent event, StreamingHandle reply) {
    if (events.hasSubscribers()) {
      events.submit(event); // waits if the subscriber is slow
    } else {
      reply.cancel();
    }
  }

  @Override
  public void onPartialResponse(PartialResponse part, PartialResponseContext context) {
    put(part, context.streamingHandle());
  }

  @Override
  public void onPartialThinking(PartialThinking part, PartialThinkingContext context) {
    put(part, context.streamingHandle());
  }

  @Override
  public void onPartialToolCall(PartialToolCall part, PartialToolCallContext context) {
    put(part, context.streamingHandle());
  }

  @Override
  public void onCompleteToolCall(CompleteToolCall call) {
    events.submit(call);
  }

  @Override
  public void onCompleteResponse(ChatResponse response) {
    events.submit(new CompleteResponse(response));
    events.close();
  }

  @Override
  public void onError(Throwable failure) {
    events.closeExceptionally(failure);
  }
}
