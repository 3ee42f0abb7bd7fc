package panamoe.harness.serve;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import panamoe.data.Tokenizer;

/** Responses of completions. */
record CompletionForm(
    Head head, CompletionRequest request, List<CompletionLogprobs.Writer> logprobs)
    implements ResponseForm {
  record Choice(
      int index,
      String text,
      CompletionLogprobs logprobs,
      String finishReason,
      @JsonInclude(JsonInclude.Include.NON_NULL) int[] promptTokenIds,
      @JsonInclude(JsonInclude.Include.NON_NULL) int[] tokenIds,
      @JsonInclude(JsonInclude.Include.NON_NULL) Finish.Detail panamoe,
      @JsonInclude(JsonInclude.Include.NON_NULL) MoeFields moe) {}

  CompletionForm(Head head, CompletionRequest request, Tokenizer tokenizer) {
    this(
        head,
        request,
        Stream.generate(() -> new CompletionLogprobs.Writer(tokenizer))
            .limit(request.choices())
            .toList());
  }

  @Override
  public Response whole(List<StreamedChoice> texts, Usage usage) {
    return response(
        IntStream.range(0, texts.size()).mapToObj(i -> choice(i, texts.get(i))).toList(), usage);
  }

  private Choice choice(int index, StreamedChoice text) {
    return new Choice(
        index,
        text.text(),
        logprobs.get(index).next(text.sampled()),
        text.finish().reason(),
        promptIds(index),
        ResponseForm.tokenIds(request, text.sampled()),
        text.finish().panamoe(),
        MoeFields.whole(request.routing(), text));
  }

  @Override
  public Response begin(int choice) {
    return request.delivery().tokenIds()
        ? response(
            List.of(new Choice(choice, "", null, null, promptIds(choice), null, null, null)), null)
        : null;
  }

  @Override
  public Response piece(ChoiceEvent.Piece piece) {
    return response(
        List.of(
            new Choice(
                piece.choice(),
                piece.text(),
                logprobs.get(piece.choice()).next(piece.sampled()),
                null,
                null,
                ResponseForm.tokenIds(request, piece.sampled()),
                null,
                MoeFields.piece(request.routing(), piece.sampled()))),
        null);
  }

  @Override
  public Response end(int choice, StreamedChoice text) {
    Finish finish = text.finish();
    return response(
        List.of(
            new Choice(
                choice,
                "",
                null,
                finish.reason(),
                null,
                null,
                finish.panamoe(),
                MoeFields.end(text))),
        null);
  }

  @Override
  public Response usage(Usage usage) {
    return response(List.of(), usage);
  }

  private Response response(List<Choice> choices, Usage usage) {
    return new Response(head, "text_completion", choices, usage, null);
  }

  private int[] promptIds(int choice) {
    return request.delivery().tokenIds() ? request.prompt(choice) : null;
  }
}
