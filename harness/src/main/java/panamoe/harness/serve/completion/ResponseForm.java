package panamoe.harness.serve.completion;

import java.util.List;
import panamoe.conversation.reply.Reply;
import panamoe.harness.serve.http.ApiError;

/**
 * How an API writes a response: whole, or as server-sent events. One object for each request. The
 * methods of a stream are called in order, and return what is sent, possibly nothing.
 */
public interface ResponseForm {
  Head head();

  /** Whether a stream is lines of JSON instead of server-sent events. */
  default boolean lines() {
    return false;
  }

  /**
   * A part of what a choice of a whole response says.
   *
   * @param sampled the part's tokens; none at the end of the choice
   */
  default void read(Reply.Read read, List<ChoiceEvent.Sampled> sampled) {}

  /** The whole response. */
  Object whole(List<StreamedChoice> texts, Usage usage);

  /** Sent before any token. */
  default List<ServerEvent> open() {
    return List.of();
  }

  /** Sent before a choice's first piece, or before its end. */
  default List<ServerEvent> begin(int choice) {
    return List.of();
  }

  /**
   * @param read what the reply says in the piece
   */
  List<ServerEvent> piece(ChoiceEvent.Piece piece, Reply.Read read);

  /**
   * The end of a choice.
   *
   * @param read what the reply held back until its end
   */
  List<ServerEvent> end(int choice, StreamedChoice text, Reply.Read read);

  /** The end of the response. */
  List<ServerEvent> close(List<StreamedChoice> texts, Usage usage);

  /** An error instead of the rest. */
  default List<ServerEvent> error(ApiError error) {
    return List.of(new ServerEvent("error", error.body()));
  }

  /**
   * What all parts of a response share.
   *
   * @param created seconds since 1970
   * @param systemFingerprint of everything that results depend on in addition to requests
   */
  record Head(String id, long created, String model, String systemFingerprint) {}
}
