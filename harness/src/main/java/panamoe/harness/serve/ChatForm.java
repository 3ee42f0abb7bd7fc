package panamoe.harness.serve;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import java.util.stream.IntStream;
import panamoe.data.Tokenizer;

/** Answers of chat completions. */
record ChatForm(Head head, TextRequest request, Tokenizer tokenizer) implements AnswerForm {
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

  record Message(String role, String content, String refusal) {}

  record Choice(
      int index,
      Message message,
      ChatLogprobs logprobs,
      String finishReason,
      @JsonInclude(JsonInclude.Include.NON_NULL) int[] tokenIds,
      @JsonInclude(JsonInclude.Include.NON_NULL) Finish.Detail panamoe,
      @JsonInclude(JsonInclude.Include.NON_NULL) MoeAnswer moe) {}

  @JsonInclude(JsonInclude.Include.NON_NULL)
  record Delta(String role, String content) {}

  record ChunkChoice(
      int index,
      Delta delta,
      ChatLogprobs logprobs,
      String finishReason,
      @JsonInclude(JsonInclude.Include.NON_NULL) int[] tokenIds,
      @JsonInclude(JsonInclude.Include.NON_NULL) Finish.Detail panamoe,
      @JsonInclude(JsonInclude.Include.NON_NULL) MoeAnswer moe) {}

  @Override
  public Answer whole(List<WrittenText> texts, Usage usage) {
    return answer(
        WHOLE,
        IntStream.range(0, texts.size()).mapToObj(i -> choice(i, texts.get(i))).toList(),
        usage,
        promptIds());
  }

  private Choice choice(int index, WrittenText text) {
    return new Choice(
        index,
        new Message("assistant", text.text(), null),
        ChatLogprobs.of(tokenizer, text.drawn()),
        text.finish().reason(),
        AnswerForm.tokenIds(request, text.drawn()),
        text.finish().panamoe(),
        MoeAnswer.whole(request.routing(), text));
  }

  @Override
  public Answer begin(int choice) {
    Delta delta = new Delta("assistant", "");
    return answer(
        CHUNK,
        List.of(new ChunkChoice(choice, delta, null, null, null, null, null)),
        null,
        promptIds());
  }

  @Override
  public Answer piece(TextEvent.Piece piece) {
    return answer(
        CHUNK,
        List.of(
            new ChunkChoice(
                piece.choice(),
                new Delta(null, piece.text()),
                ChatLogprobs.of(tokenizer, piece.drawn()),
                null,
                AnswerForm.tokenIds(request, piece.drawn()),
                null,
                MoeAnswer.piece(request.routing(), piece.drawn()))),
        null,
        null);
  }

  @Override
  public Answer end(int choice, WrittenText text) {
    Finish finish = text.finish();
    return answer(
        CHUNK,
        List.of(
            new ChunkChoice(
                choice,
                new Delta(null, null),
                null,
                finish.reason(),
                null,
                finish.panamoe(),
                MoeAnswer.end(text))),
        null,
        null);
  }

  @Override
  public Answer usage(Usage usage) {
    return answer(CHUNK, List.of(), usage, null);
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
