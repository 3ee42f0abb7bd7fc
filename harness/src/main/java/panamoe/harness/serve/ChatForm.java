package panamoe.harness.serve;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import java.util.stream.IntStream;
import panamoe.conversation.reply.Reply;
import panamoe.data.Tokenizer;

/**
 * Responses of chat completions.
 *
 * @param replies for each choice; empty if completions are content only
 */
record ChatForm(Head head, CompletionRequest request, Tokenizer tokenizer, List<Reply> replies)
    implements ResponseForm {
  record Message(
      String role,
      String content,
      @JsonInclude(JsonInclude.Include.NON_EMPTY) String reasoningContent,
      String refusal,
      @JsonInclude(JsonInclude.Include.NON_EMPTY) List<ToolCall> toolCalls) {}

  /**
   * A call of a function, or a chunk's part of one.
   *
   * @param index of the call in its choice; null in a whole response
   * @param id null in a chunk that continues a call; {@code type} and the function's name too
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record ToolCall(Integer index, String id, String type, Function function) {
    /**
     * @param arguments JSON, or a piece of it
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Function(String name, String arguments) {}

    ToolCall(Integer index, String id, String name, String arguments) {
      this(index, id, id == null ? null : "function", new Function(name, arguments));
    }
  }

  /**
   * A choice.
   *
   * @param message in a whole response
   * @param delta in a chunk
   */
  record Choice(
      int index,
      @JsonInclude(JsonInclude.Include.NON_NULL) Message message,
      @JsonInclude(JsonInclude.Include.NON_NULL) Delta delta,
      ChatLogprobs logprobs,
      String finishReason,
      @JsonInclude(JsonInclude.Include.NON_NULL) int[] tokenIds,
      @JsonInclude(JsonInclude.Include.NON_NULL) Finish.Detail panamoe,
      @JsonInclude(JsonInclude.Include.NON_NULL) MoeFields moe) {}

  record Delta(
      @JsonInclude(JsonInclude.Include.NON_NULL) String role,
      @JsonInclude(JsonInclude.Include.NON_NULL) String content,
      @JsonInclude(JsonInclude.Include.NON_EMPTY) String reasoningContent,
      @JsonInclude(JsonInclude.Include.NON_EMPTY) List<ToolCall> toolCalls) {}

  @Override
  public Response whole(List<StreamedChoice> texts, Usage usage) {
    List<Choice> choices =
        IntStream.range(0, texts.size()).mapToObj(i -> choice(i, texts.get(i))).toList();
    return new Response(
        head, "chat.completion", choices, usage.thinking(thoughtTokens()), promptIds());
  }

  private Choice choice(int index, StreamedChoice text) {
    return new Choice(
        index,
        message(index, text),
        null,
        ChatLogprobs.of(tokenizer, text.sampled()),
        reason(index, text.finish()),
        ResponseForm.tokenIds(request, text.sampled()),
        text.finish().panamoe(),
        MoeFields.whole(request.routing(), text));
  }

  private Message message(int index, StreamedChoice text) {
    if (replies.isEmpty()) {
      return new Message("assistant", text.text(), "", null, List.of());
    }
    Reply reply = replies.get(index);
    text.pieces().forEach(piece -> read(reply, piece));
    reply.end(text.generation().cut());
    return new Message(
        "assistant",
        reply.content().isEmpty() && !reply.calls().isEmpty() ? null : reply.content(),
        reply.reasoning(),
        null,
        reply.calls().stream()
            .map(call -> new ToolCall(null, call.id(), call.name(), call.arguments()))
            .toList());
  }

  private static Reply.Read read(Reply reply, ChoiceEvent.Piece piece) {
    return reply.next(piece.marked(), piece.sampled().size());
  }

  private long thoughtTokens() {
    return replies.stream().mapToLong(Reply::thoughtTokens).sum();
  }

  /** A choice that ends with a call has the finish reason tool_calls. */
  private String reason(int choice, Finish finish) {
    boolean called = !replies.isEmpty() && replies.get(choice).called();
    return called && finish.reason().equals("stop") ? "tool_calls" : finish.reason();
  }

  private Delta delta(Reply.Read read) {
    return new Delta(
        null,
        read.content().isEmpty() ? null : read.content(),
        read.reasoning(),
        read.calls().stream()
            .map(call -> new ToolCall(call.index(), call.id(), call.name(), call.arguments()))
            .toList());
  }

  @Override
  public Response begin(int choice) {
    Delta delta = new Delta("assistant", replies.isEmpty() ? "" : null, null, List.of());
    return chunk(
        List.of(new Choice(choice, null, delta, null, null, null, null, null)), null, promptIds());
  }

  @Override
  public Response piece(ChoiceEvent.Piece piece) {
    Delta delta =
        replies.isEmpty()
            ? new Delta(null, piece.text(), null, List.of())
            : delta(read(replies.get(piece.choice()), piece));
    ChatLogprobs logprobs = ChatLogprobs.of(tokenizer, piece.sampled());
    int[] ids = ResponseForm.tokenIds(request, piece.sampled());
    MoeFields moe = MoeFields.piece(request.routing(), piece.sampled());
    boolean silent =
        delta.content() == null
            && (delta.reasoningContent() == null || delta.reasoningContent().isEmpty())
            && delta.toolCalls().isEmpty();
    if (silent && logprobs == null && ids == null && moe == null) {
      return null;
    }
    return chunk(
        List.of(new Choice(piece.choice(), null, delta, logprobs, null, ids, null, moe)),
        null,
        null);
  }

  @Override
  public Response end(int choice, StreamedChoice text) {
    Delta delta =
        replies.isEmpty()
            ? new Delta(null, null, null, List.of())
            : delta(replies.get(choice).end(text.generation().cut()));
    return chunk(
        List.of(
            new Choice(
                choice,
                null,
                delta,
                null,
                reason(choice, text.finish()),
                null,
                text.finish().panamoe(),
                MoeFields.end(text))),
        null,
        null);
  }

  @Override
  public Response usage(Usage usage) {
    return chunk(List.of(), usage.thinking(thoughtTokens()), null);
  }

  private Response chunk(List<Choice> choices, Usage usage, int[] promptIds) {
    return new Response(head, "chat.completion.chunk", choices, usage, promptIds);
  }

  private int[] promptIds() {
    return request.delivery().tokenIds() ? request.prompt(0) : null;
  }
}
