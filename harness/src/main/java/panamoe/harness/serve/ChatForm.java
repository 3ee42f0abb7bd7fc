package panamoe.harness.serve;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import panamoe.data.Tokenizer;

/**
 * Answers of chat completions.
 *
 * @param readers of each text; empty if texts are content alone
 */
record ChatForm(Head head, TextRequest request, Tokenizer tokenizer, List<ReadText> readers)
    implements AnswerForm {
  private static final String WHOLE = "chat.completion";
  private static final String CHUNK = "chat.completion.chunk";

  /** An answer, or a chunk of one. */
  record Answer(
      String id,
      String object,
      long created,
      String model,
      String systemFingerprint,
      List<?> choices,
      Usage usage,
      @JsonInclude(JsonInclude.Include.NON_NULL) int[] promptTokenIds) {}

  record Message(
      String role,
      String content,
      @JsonInclude(JsonInclude.Include.NON_EMPTY) String reasoningContent,
      String refusal,
      @JsonInclude(JsonInclude.Include.NON_EMPTY) List<ToolCall> toolCalls) {}

  record Choice(
      int index,
      Message message,
      ChatLogprobs logprobs,
      String finishReason,
      @JsonInclude(JsonInclude.Include.NON_NULL) int[] tokenIds,
      @JsonInclude(JsonInclude.Include.NON_NULL) Finish.Detail panamoe,
      @JsonInclude(JsonInclude.Include.NON_NULL) MoeAnswer moe) {}

  record Delta(
      @JsonInclude(JsonInclude.Include.NON_NULL) String role,
      @JsonInclude(JsonInclude.Include.NON_NULL) String content,
      @JsonInclude(JsonInclude.Include.NON_EMPTY) String reasoningContent,
      @JsonInclude(JsonInclude.Include.NON_EMPTY) List<ToolCall> toolCalls) {}

  record ChunkChoice(
      int index,
      Delta delta,
      ChatLogprobs logprobs,
      String finishReason,
      @JsonInclude(JsonInclude.Include.NON_NULL) int[] tokenIds,
      @JsonInclude(JsonInclude.Include.NON_NULL) Finish.Detail panamoe,
      @JsonInclude(JsonInclude.Include.NON_NULL) MoeAnswer moe) {}

  /**
   * @param reader makes what reads a text; null if all of it is content
   */
  static ChatForm of(
      Head head, TextRequest request, Tokenizer tokenizer, Supplier<MessageReader> reader) {
    int reading = reader == null ? 0 : request.texts();
    List<ReadText> readers =
        IntStream.range(0, reading).mapToObj(_ -> new ReadText(reader.get())).toList();
    return new ChatForm(head, request, tokenizer, readers);
  }

  @Override
  public Answer whole(List<WrittenText> texts, Usage usage) {
    List<Choice> choices =
        IntStream.range(0, texts.size()).mapToObj(i -> choice(i, texts.get(i))).toList();
    return answer(WHOLE, choices, usage.thinking(thoughtTokens()), promptIds());
  }

  private Choice choice(int index, WrittenText text) {
    return new Choice(
        index,
        message(index, text),
        ChatLogprobs.of(tokenizer, text.drawn()),
        reason(index, text.finish()),
        AnswerForm.tokenIds(request, text.drawn()),
        text.finish().panamoe(),
        MoeAnswer.whole(request.routing(), text));
  }

  private Message message(int index, WrittenText text) {
    if (readers.isEmpty()) {
      return new Message("assistant", text.text(), "", null, List.of());
    }
    StringBuilder reasoning = new StringBuilder();
    StringBuilder content = new StringBuilder();
    List<ToolCall> calls = new ArrayList<>();
    Stream.concat(
            text.pieces().stream().map(readers.get(index)::next),
            Stream.of(text).map(readers.get(index)::end))
        .forEachOrdered(
            read -> {
              reasoning.append(read.reasoning());
              content.append(read.content());
              read.calls().forEach(call -> call.addTo(calls));
            });
    return new Message(
        "assistant",
        content.isEmpty() && !calls.isEmpty() ? null : content.toString(),
        reasoning.toString(),
        null,
        calls.stream().map(ToolCall::whole).toList());
  }

  private long thoughtTokens() {
    return readers.stream().mapToLong(ReadText::thoughtTokens).sum();
  }

  /** A text that ends with a call ends for its sake. */
  private String reason(int choice, Finish finish) {
    boolean called = !readers.isEmpty() && readers.get(choice).called();
    return called && finish.reason().equals("stop") ? "tool_calls" : finish.reason();
  }

  private Delta delta(MessageReader.Read read) {
    return new Delta(
        null, read.content().isEmpty() ? null : read.content(), read.reasoning(), read.calls());
  }

  @Override
  public Answer begin(int choice) {
    Delta delta = new Delta("assistant", readers.isEmpty() ? "" : null, null, List.of());
    return answer(
        CHUNK,
        List.of(new ChunkChoice(choice, delta, null, null, null, null, null)),
        null,
        promptIds());
  }

  @Override
  public Answer piece(TextEvent.Piece piece) {
    Delta delta =
        readers.isEmpty()
            ? new Delta(null, piece.text(), null, List.of())
            : delta(readers.get(piece.choice()).next(piece));
    ChatLogprobs logprobs = ChatLogprobs.of(tokenizer, piece.drawn());
    int[] ids = AnswerForm.tokenIds(request, piece.drawn());
    MoeAnswer moe = MoeAnswer.piece(request.routing(), piece.drawn());
    boolean silent =
        delta.content() == null
            && (delta.reasoningContent() == null || delta.reasoningContent().isEmpty())
            && delta.toolCalls().isEmpty();
    if (silent && logprobs == null && ids == null && moe == null) {
      return null;
    }
    return answer(
        CHUNK,
        List.of(new ChunkChoice(piece.choice(), delta, logprobs, null, ids, null, moe)),
        null,
        null);
  }

  @Override
  public Answer end(int choice, WrittenText text) {
    Delta delta =
        readers.isEmpty()
            ? new Delta(null, null, null, List.of())
            : delta(readers.get(choice).end(text));
    return answer(
        CHUNK,
        List.of(
            new ChunkChoice(
                choice,
                delta,
                null,
                reason(choice, text.finish()),
                null,
                text.finish().panamoe(),
                MoeAnswer.end(text))),
        null,
        null);
  }

  @Override
  public Answer usage(Usage usage) {
    return answer(CHUNK, List.of(), usage.thinking(thoughtTokens()), null);
  }

  private Answer answer(String object, List<?> choices, Usage usage, int[] promptIds) {
    return new Answer(
        head.id(),
        object,
        head.created(),
        head.model(),
        head.systemFingerprint(),
        choices,
        usage,
        promptIds);
  }

  private int[] promptIds() {
    return request.answer().tokenIds() ? request.prompts().getFirst() : null;
  }
}
