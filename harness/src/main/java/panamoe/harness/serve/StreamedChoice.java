package panamoe.harness.serve;

import java.util.ArrayList;
import java.util.List;
import panamoe.engine.Generation;

/** The events of one choice so far. */
final class StreamedChoice {
  private final StringBuilder text = new StringBuilder();
  private final List<ChoiceEvent.Piece> pieces = new ArrayList<>();
  private final List<ChoiceEvent.Sampled> sampled = new ArrayList<>();
  private Generation generation;

  void add(ChoiceEvent.Piece piece) {
    text.append(piece.text());
    pieces.add(piece);
    sampled.addAll(piece.sampled());
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

  List<ChoiceEvent.Sampled> sampled() {
    return sampled;
  }

  Generation generation() {
    return generation;
  }

  Finish finish() {
    return Finish.of(generation.end());
  }
}
