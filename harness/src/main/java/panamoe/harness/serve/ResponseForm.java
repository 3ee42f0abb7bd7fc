package panamoe.harness.serve;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;

/** How an endpoint tells texts: as one answer, or in chunks. Made for each request. */
interface ResponseForm {
  Head head();

  /** The whole answer. */
  Answer whole(List<StreamedChoice> texts, Usage usage);

  /** The first chunk of a text; null if it has none of its own. */
  Answer begin(int choice);

  /** A chunk of a text; null if the piece tells nothing yet. */
  Answer piece(ChoiceEvent.Piece piece);

  /** The last chunk of a text. */
  Answer end(int choice, StreamedChoice text);

  /** The last chunk of all. */
  Answer usage(Usage usage);

  /**
   * What all chunks of an answer begin with.
   *
   * @param created seconds since 1970
   * @param systemFingerprint of all that texts depend on beside requests
   */
  record Head(String id, long created, String model, String systemFingerprint) {}

  /** An answer, or a chunk of one. */
  record Answer(
      String id,
      String object,
      long created,
      String model,
      String systemFingerprint,
      List<?> choices,
      Usage usage,
      @JsonInclude(JsonInclude.Include.NON_NULL) int[] promptTokenIds) {
    Answer(Head head, String object, List<?> choices, Usage usage, int[] promptTokenIds) {
      this(
          head.id,
          object,
          head.created,
          head.model,
          head.systemFingerprint,
          choices,
          usage,
          promptTokenIds);
    }
  }

  /** The tokens of a piece, if a request asks for them; else null. */
  static int[] tokenIds(CompletionRequest request, List<ChoiceEvent.Drawn> drawn) {
    return request.delivery().tokenIds()
        ? drawn.stream().mapToInt(ChoiceEvent.Drawn::token).toArray()
        : null;
  }
}
