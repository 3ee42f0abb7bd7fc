package panamoe.harness.serve;

import java.util.List;
import panamoe.data.Markers;
import panamoe.engine.Generation;
import panamoe.engine.sample.TokenLogprobs;

/** What happened to one of the texts of a request. */
sealed interface ChoiceEvent {
  /** The text's number in the request. */
  int choice();

  /**
   * The text goes on.
   *
   * @param text possibly empty, at the end of the text
   * @param marker the name of a special token behind it; empty for none
   * @param drawn the tokens since the piece before
   */
  record Piece(int choice, String text, String marker, List<Drawn> drawn) implements ChoiceEvent {
    /** The text, with {@link Markers}. */
    String marked() {
      return marker.isEmpty() ? text : text + Markers.of(marker);
    }
  }

  /**
   * A token.
   *
   * @param logprobs null if not asked for
   * @param experts for each MoE layer; null if not asked for
   */
  record Drawn(int token, TokenLogprobs logprobs, int[] experts) {}

  /** The text has ended. */
  record Ended(int choice, Generation generation) implements ChoiceEvent {}

  /** The text failed, and with it the request. */
  record Failed(int choice, ApiError error) implements ChoiceEvent {}
}
