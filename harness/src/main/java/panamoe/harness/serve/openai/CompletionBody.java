package panamoe.harness.serve.openai;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import panamoe.harness.serve.completion.ChoiceEvent;
import panamoe.harness.serve.completion.CompletionRequest;
import panamoe.harness.serve.completion.ResponseForm;
import panamoe.harness.serve.completion.ServerEvent;
import panamoe.harness.serve.completion.Usage;

/** A response of completions or chat completions, or a chunk of one. */
record CompletionBody(
    String id,
    String object,
    long created,
    String model,
    String systemFingerprint,
    List<?> choices,
    Usage usage,
    @JsonInclude(JsonInclude.Include.NON_NULL) int[] promptTokenIds) {
  private static final ServerEvent DONE = ServerEvent.of("[DONE]");

  CompletionBody(
      ResponseForm.Head head, String object, List<?> choices, Usage usage, int[] promptTokenIds) {
    this(
        head.id(),
        object,
        head.created(),
        head.model(),
        head.systemFingerprint(),
        choices,
        usage,
        promptTokenIds);
  }

  /** The tokens of a piece; null if not asked for. */
  static int[] tokenIds(CompletionRequest request, List<ChoiceEvent.Sampled> sampled) {
    return request.delivery().tokenIds()
        ? sampled.stream().mapToInt(ChoiceEvent.Sampled::token).toArray()
        : null;
  }

  /**
   * The end of a stream.
   *
   * @param usage the chunk with the numbers of tokens, sent if asked for
   */
  static List<ServerEvent> close(CompletionRequest request, CompletionBody usage) {
    return request.delivery().usage() ? List.of(ServerEvent.of(usage), DONE) : List.of(DONE);
  }
}
