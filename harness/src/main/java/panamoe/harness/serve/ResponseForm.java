package panamoe.harness.serve;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;

/** The JSON of an endpoint's responses: whole, or in chunks. One object for each request. */
interface ResponseForm {
  Head head();

  Response whole(List<StreamedChoice> texts, Usage usage);

  /** The first chunk of a choice; null if there is none. */
  Response begin(int choice);

  /** The chunk of a piece; null if it has nothing to send yet. */
  Response piece(ChoiceEvent.Piece piece);

  /** The last chunk of a choice. */
  Response end(int choice, StreamedChoice text);

  /** The last chunk of a response. */
  Response usage(Usage usage);

  /**
   * The fields that all chunks of a response share.
   *
   * @param created seconds since 1970
   * @param systemFingerprint of everything that results depend on in addition to requests
   */
  record Head(String id, long created, String model, String systemFingerprint) {}

  /** A response, or a chunk of one. */
  record Response(
      String id,
      String object,
      long created,
      String model,
      String systemFingerprint,
      List<?> choices,
      Usage usage,
      @JsonInclude(JsonInclude.Include.NON_NULL) int[] promptTokenIds) {
    Response(Head head, String object, List<?> choices, Usage usage, int[] promptTokenIds) {
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

  /** The tokens of a piece; null if not asked for. */
  static int[] tokenIds(CompletionRequest request, List<ChoiceEvent.Sampled> sampled) {
    return request.delivery().tokenIds()
        ? sampled.stream().mapToInt(ChoiceEvent.Sampled::token).toArray()
        : null;
  }
}
