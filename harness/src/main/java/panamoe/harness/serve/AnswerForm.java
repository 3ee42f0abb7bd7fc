package panamoe.harness.serve;

import java.util.List;

/** How an endpoint tells texts: as one answer, or in chunks. Made for each request. */
interface AnswerForm {
  Head head();

  /** The whole answer. */
  Object whole(List<WrittenText> texts, Usage usage);

  /** The first chunk of a text; null if it has none of its own. */
  Object begin(int choice);

  /** A chunk of a text; null if the piece tells nothing yet. */
  Object piece(TextEvent.Piece piece);

  /** The last chunk of a text. */
  Object end(int choice, WrittenText text);

  /** The last chunk of all. */
  Object usage(Usage usage);

  /**
   * What all chunks of an answer begin with.
   *
   * @param created seconds since 1970
   * @param systemFingerprint of all that texts depend on beside requests
   */
  record Head(String id, long created, String model, String systemFingerprint) {}

  /** The tokens of a piece, if a request asks for them; else null. */
  static int[] tokenIds(TextRequest request, List<TextEvent.Drawn> drawn) {
    return request.answer().tokenIds()
        ? drawn.stream().mapToInt(TextEvent.Drawn::token).toArray()
        : null;
  }
}
