package panamoe.harness.serve.openai;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import panamoe.conversation.reply.Reply;
import panamoe.data.Tokenizer;
import panamoe.harness.serve.completion.ChoiceEvent;
import panamoe.harness.serve.completion.CompletionRequest;
import panamoe.harness.serve.completion.Finish;
import panamoe.harness.serve.completion.ResponseForm;
import panamoe.harness.serve.completion.ServerEvent;
import panamoe.harness.serve.completion.StreamedChoice;
import panamoe.harness.serve.completion.Usage;

/** Responses of completions. */
record CompletionForm(
    Head head,
    CompletionRequest request,
    Tokenizer tokenizer,
    List<CompletionLogprobs.Writer> logprobs)
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
        tokenizer,
        Stream.generate(() -> new CompletionLogprobs.Writer(tokenizer))
            .limit(request.choices())
            .toList());
  }

  @Override
  public CompletionBody whole(List<StreamedChoice> texts, Usage usage) {
    return response(
        IntStream.range(0, texts.size()).mapToObj(i -> choice(i, texts.get(i))).toList(), usage);
  }

  private Choice choice(int index, StreamedChoice text) {
    return new Choice(
        index,
        echoed(index) + text.content(),
        logprobs(index, text),
        text.finish().reason(),
        promptIds(index),
        CompletionBody.tokenIds(request, text.sampled()),
        text.finish().panamoe(),
        MoeFields.whole(request.routing(), text));
  }

  @Override
  public List<ServerEvent> begin(int choice) {
    if (request.echo() == null && !request.delivery().tokenIds()) {
      return List.of();
    }
    String text = echoed(choice);
    int[] ids = promptIds(choice);
    return chunk(new Choice(choice, text, echoedLogprobs(choice), null, ids, null, null, null));
  }

  private String echoed(int choice) {
    return request.echo() == null ? "" : tokenizer.decode(request.prompt(choice));
  }

  private CompletionLogprobs echoedLogprobs(int choice) {
    return request.echo() == null || request.logprobs() < 0
        ? null
        : logprobs.get(choice).prompt(request.echo().prompt(choice / request.n()));
  }

  private CompletionLogprobs logprobs(int choice, StreamedChoice text) {
    CompletionLogprobs prompt = echoedLogprobs(choice);
    CompletionLogprobs written = logprobs.get(choice).next(text.sampled());
    return prompt == null ? written : prompt.and(written).and(endLogprobs(choice));
  }

  /** Those of the token that ended a choice; null unless it repeats its prompt. */
  private CompletionLogprobs endLogprobs(int choice) {
    return request.echo() == null ? null : logprobs.get(choice).next(request.echo().end(choice));
  }

  @Override
  public List<ServerEvent> piece(ChoiceEvent.Piece piece, Reply.Read read) {
    return chunk(
        new Choice(
            piece.choice(),
            read.content(),
            logprobs.get(piece.choice()).next(piece.sampled()),
            null,
            null,
            CompletionBody.tokenIds(request, piece.sampled()),
            null,
            MoeFields.piece(request.routing(), piece.sampled())));
  }

  @Override
  public List<ServerEvent> end(int choice, StreamedChoice text, Reply.Read read) {
    Finish finish = text.finish();
    return chunk(
        new Choice(
            choice,
            "",
            endLogprobs(choice),
            finish.reason(),
            null,
            null,
            finish.panamoe(),
            MoeFields.end(text)));
  }

  @Override
  public List<ServerEvent> close(List<StreamedChoice> texts, Usage usage) {
    return CompletionBody.close(request, response(List.of(), usage));
  }

  private List<ServerEvent> chunk(Choice choice) {
    return List.of(ServerEvent.of(response(List.of(choice), null)));
  }

  private CompletionBody response(List<Choice> choices, Usage usage) {
    return new CompletionBody(head, "text_completion", choices, usage, null);
  }

  private int[] promptIds(int choice) {
    return request.delivery().tokenIds() ? request.prompt(choice) : null;
  }
}
