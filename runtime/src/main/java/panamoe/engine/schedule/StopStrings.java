package panamoe.engine.schedule;

import java.util.List;
import java.util.function.Consumer;

/** Emits text up to the first stop string, and holds back a suffix that may begin one. */
final class StopStrings {
  private final List<String> stops;
  private final Consumer<String> onText;
  private final StringBuilder passed = new StringBuilder();
  private String held = "";
  private String found; // the stop string that ended the text; null before

  StopStrings(List<String> stops, Consumer<String> onText) {
    this.stops = stops;
    this.onText = onText;
  }

  void append(String piece) {
    if (found != null || piece.isEmpty()) {
      return;
    }
    if (stops.isEmpty()) {
      pass(piece);
      return;
    }
    String text = held + piece;
    int first = text.length();
    for (String stop : stops) {
      int index = text.indexOf(stop);
      if (index >= 0 && index < first) {
        first = index;
        found = stop;
      }
    }
    int end = found != null ? first : text.length() - longestBeginning(text);
    pass(text.substring(0, end));
    held = found != null ? "" : text.substring(end);
  }

  /** Emits the held-back suffix at the end of the text. */
  void finish() {
    pass(held);
    held = "";
  }

  /** The stop string that ended the text; null for none. */
  String found() {
    return found;
  }

  String text() {
    return passed.toString();
  }

  private void pass(String text) {
    if (!text.isEmpty()) {
      passed.append(text);
      onText.accept(text);
    }
  }

  /** Length of the longest suffix of {@code text} that is a prefix of a stop string. */
  private int longestBeginning(String text) {
    int longest = 0;
    for (String stop : stops) {
      for (int length = Math.min(stop.length() - 1, text.length()); length > longest; length--) {
        if (text.endsWith(stop.substring(0, length))) {
          longest = length;
        }
      }
    }
    return longest;
  }
}
