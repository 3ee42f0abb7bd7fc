package panamoe.harness.serve;

import java.util.ArrayList;
import java.util.List;
import panamoe.engine.Generation;

/** The events of one choice so far. */
final class StreamedChoice {
  private final StringBuilder text = new StringBuilder();
  private final List<ChoiceEvent.Piece> pieces = new ArrayList<>();
  private final List<ChoiceEvent.Drawn> drawn = new ArrayList<>();
  private Generation generation;

  void add(ChoiceEvent.Piece piece) {
    text.append(piece.text());
    pieces.add(piece);
    drawn.addAll(piece.drawn());
  }

  void end(Generation ended) {
    generation = ended;
  }

  String text() {
    return text.toString();
  }

  List<ChoiceEvent.Piece> pieces() {
    return pieces;
  }

  List<ChoiceEvent.Drawn> drawn() {
    return drawn;
  }

  Generation generation() {
    return generation;
  }

  Finish finish() {
    return Finish.of(generation.end());
  }
}
