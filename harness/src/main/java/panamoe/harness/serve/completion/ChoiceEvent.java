package panamoe.harness.serve.completion;

import java.util.List;
import panamoe.data.Markers;
import panamoe.engine.Generation;
import panamoe.engine.sample.TokenLogprobs;
import panamoe.harness.serve.http.ApiError;

/** An event of one choice of a request. */
public sealed interface ChoiceEvent {
  int choice();

  /**
   * A piece of a choice.
   *
   * @param text may be empty at the end
   * @param marker the name of a special token after it; empty for none
   * @param sampled the tokens since the previous piece
   */
  record Piece(int choice, String text, String marker, List<Sampled> sampled)
      implements ChoiceEvent {
    /** The text with {@link Markers}. */
    String marked() {
      return marker.isEmpty() ? text : text + Markers.of(marker);
    }
  }

  /**
   * A sampled token.
   *
   * @param logprobs null if not asked for
   * @param experts for each MoE layer; null if not asked for
   */
  record Sampled(int token, TokenLogprobs logprobs, int[] experts) {}

  record Ended(int choice, Generation generation) implements ChoiceEvent {}

  /** The failure of a choice, which fails the request. */
  record Failed(int choice, ApiError error) implements ChoiceEvent {}
}
