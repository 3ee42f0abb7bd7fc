package panamoe.harness.serve.openai;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import java.util.stream.IntStream;
import panamoe.conversation.reply.Reply;
import panamoe.data.Tokenizer;
import panamoe.harness.serve.completion.ChatLogprobs;
import panamoe.harness.serve.completion.ChoiceEvent;
import panamoe.harness.serve.completion.CompletionRequest;
import panamoe.harness.serve.completion.Finish;
import panamoe.harness.serve.completion.ResponseForm;
import panamoe.harness.serve.completion.ServerEvent;
import panamoe.harness.serve.completion.StreamedChoice;
import panamoe.harness.serve.completion.Usage;

/** Responses of chat completions. */
record ChatForm(Head head, CompletionRequest request, Tokenizer tokenizer) implements ResponseForm {
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
  public CompletionBody whole(List<StreamedChoice> texts, Usage usage) {
    List<Choice> choices =
        IntStream.range(0, texts.size()).mapToObj(i -> choice(i, texts.get(i))).toList();
    return new CompletionBody(head, "chat.completion", choices, usage, promptIds());
  }

  private Choice choice(int index, StreamedChoice text) {
    return new Choice(
        index,
        message(text),
        null,
        ChatLogprobs.of(tokenizer, text.sampled()),
        text.finish().reason(),
        CompletionBody.tokenIds(request, text.sampled()),
        text.finish().panamoe(),
        MoeFields.whole(request.routing(), text));
  }

  private static Message message(StreamedChoice text) {
    return new Message(
        "assistant",
        text.content().isEmpty() && !text.calls().isEmpty() ? null : text.content(),
        text.reasoning(),
        null,
        text.calls().stream()
            .map(call -> new ToolCall(null, call.id(), call.name(), call.arguments()))
            .toList());
  }

  private static Delta delta(Reply.Read read) {
    return new Delta(
        null,
        read.content().isEmpty() ? null : read.content(),
        read.reasoning(),
        read.calls().stream()
            .map(call -> new ToolCall(call.index(), call.id(), call.name(), call.arguments()))
            .toList());
  }

  @Override
  public List<ServerEvent> begin(int choice) {
    Delta delta = new Delta("assistant", "", null, List.of());
    return chunk(
        List.of(new Choice(choice, null, delta, null, null, null, null, null)), promptIds());
  }

  @Override
  public List<ServerEvent> piece(ChoiceEvent.Piece piece, Reply.Read read) {
    Delta delta = delta(read);
    ChatLogprobs logprobs = ChatLogprobs.of(tokenizer, piece.sampled());
    int[] ids = CompletionBody.tokenIds(request, piece.sampled());
    MoeFields moe = MoeFields.piece(request.routing(), piece.sampled());
    boolean silent =
        delta.content() == null
            && delta.reasoningContent().isEmpty()
            && delta.toolCalls().isEmpty();
    if (silent && logprobs == null && ids == null && moe == null) {
      return List.of();
    }
    return chunk(
        List.of(new Choice(piece.choice(), null, delta, logprobs, null, ids, null, moe)), null);
  }

  @Override
  public List<ServerEvent> end(int choice, StreamedChoice text, Reply.Read read) {
    Finish finish = text.finish();
    return chunk(
        List.of(
            new Choice(
                choice,
                null,
                delta(read),
                null,
                finish.reason(),
                null,
                finish.panamoe(),
                MoeFields.end(text))),
        null);
  }

  @Override
  public List<ServerEvent> close(List<StreamedChoice> texts, Usage usage) {
    return CompletionBody.close(request, chunk(List.of(), usage, null));
  }

  private List<ServerEvent> chunk(List<Choice> choices, int[] promptIds) {
    return List.of(ServerEvent.of(chunk(choices, null, promptIds)));
  }

  private CompletionBody chunk(List<Choice> choices, Usage usage, int[] promptIds) {
    return new CompletionBody(head, "chat.completion.chunk", choices, usage, promptIds);
  }

  private int[] promptIds() {
    return request.delivery().tokenIds() ? request.prompt(0) : null;
  }
}
