package panamoe.harness.serve;

import java.util.ArrayList;
import java.util.List;
import panamoe.engine.Generation;

/** A text of a request as far as it was told. */
final class StreamedText {
  private final StringBuilder text = new StringBuilder();
  private final List<TextEvent.Piece> pieces = new ArrayList<>();
  private final List<TextEvent.Drawn> drawn = new ArrayList<>();
  private Generation generation;

  void add(TextEvent.Piece piece) {
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

  List<TextEvent.Piece> pieces() {
    return pieces;
  }

  List<TextEvent.Drawn> drawn() {
    return drawn;
  }

  Generation generation() {
    return generation;
  }

  Finish finish() {
    return Finish.of(generation.end());
  }
}
