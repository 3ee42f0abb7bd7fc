package panamoe.langchain4j;

import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.CompleteToolCall;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.PartialThinking;
import dev.langchain4j.model.chat.response.PartialThinkingContext;
import dev.langchain4j.model.chat.response.PartialToolCall;
import dev.langchain4j.model.chat.response.PartialToolCallContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.chat.response.StreamingHandle;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Flow;
import panamoe.text.FinishReason;
import panamoe.text.GenerationResult;
import panamoe.text.TextCompletion;
import panamoe.text.TextPiece;

/** Passes the pieces of a completion to a handler. */
final class StreamedReply implements Flow.Subscriber<TextPiece>, StreamingHandle {
  private final Conversation conversation;
  private final TextCompletion completion;
  private final StreamingChatResponseHandler handler;
  private final Map<Integer, TextPiece.CallPiece> begun = new HashMap<>(); // calls by index

  StreamedReply(
      Conversation conversation, TextCompletion completion, StreamingChatResponseHandler handler) {
    this.conversation = conversation;
    this.completion = completion;
    this.handler = handler;
  }

  @Override
  public void onSubscribe(Flow.Subscription subscription) {
    subscription.request(Long.MAX_VALUE);
  }

  @Override
  public void onNext(TextPiece piece) {
    if (!piece.reasoning().isEmpty()) {
      call(
          () ->
              handler.onPartialThinking(
                  new PartialThinking(piece.reasoning()), new PartialThinkingContext(this)));
    }
    if (!piece.content().isEmpty()) {
      call(
          () ->
              handler.onPartialResponse(
                  new PartialResponse(piece.content()), new PartialResponseContext(this)));
    }
    for (TextPiece.CallPiece part : piece.calls()) {
      TextPiece.CallPiece first = begun.computeIfAbsent(part.index(), _ -> part);
      if (!part.arguments().isEmpty()) {
        call(() -> pass(first, part.arguments()));
      }
    }
  }

  private void pass(TextPiece.CallPiece call, String arguments) {
    handler.onPartialToolCall(
        PartialToolCall.builder()
            .index(call.index())
            .id(call.id())
            .name(call.name())
            .partialArguments(arguments)
            .build(),
        new PartialToolCallContext(this));
  }

  @Override
  public void onComplete() {
    GenerationResult result = completion.join();
    if (result.finishReason() == FinishReason.CANCELLED) {
      return; // nothing follows what was cancelled
    }
    ChatResponse response;
    try {
      response = conversation.response(result);
    } catch (RuntimeException e) {
      onError(e);
      return;
    }
    List<ToolExecutionRequest> calls = response.aiMessage().toolExecutionRequests();
    for (int i = 0; i < calls.size(); i++) {
      CompleteToolCall whole = new CompleteToolCall(i, calls.get(i));
      call(() -> handler.onCompleteToolCall(whole));
    }
    call(() -> handler.onCompleteResponse(response));
  }

  @Override
  public void onError(Throwable failure) {
    try {
      handler.onError(Conversation.translated(failure));
    } catch (RuntimeException _) {
      // It has nowhere to go.
    }
  }

  /** Calls a method of the handler; its exceptions go to its onError. */
  private void call(Runnable method) {
    if (isCancelled()) {
      return;
    }
    try {
      method.run();
    } catch (RuntimeException e) {
      onError(e);
    }
  }

  @Override
  public void cancel() {
    completion.cancel();
  }

  @Override
  public boolean isCancelled() {
    return completion.isCancelled();
  }
}
