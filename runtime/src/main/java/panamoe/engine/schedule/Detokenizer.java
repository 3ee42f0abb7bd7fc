package panamoe.engine.schedule;

import java.util.List;
import panamoe.data.Tokenizer;
import panamoe.data.Utf8Stream;
import panamoe.engine.GenerationListener;

/** Turns sampled tokens into text, up to a stop string. */
final class Detokenizer {
  private final Tokenizer tokenizer;
  private final Utf8Stream characters = new Utf8Stream();
  private final StopStrings text;
  private final GenerationListener listener;

  Detokenizer(Tokenizer tokenizer, List<String> stops, GenerationListener listener) {
    this.tokenizer = tokenizer;
    this.text = new StopStrings(stops, listener::wrote);
    this.listener = listener;
  }

  /** Adds a token; returns whether a stop string is complete. */
  boolean append(int token) {
    String name = tokenizer.special(token);
    if (!name.isEmpty()) { // no character and no stop string spans it
      finish();
      listener.marked(name);
      return false;
    }
    text.append(characters.append(tokenizer.bytesOf(token)));
    return text.found() != null;
  }

  /** The stop string that ended the text; null for none. */
  String stopString() {
    return text.found();
  }

  /** Emits the held-back text. */
  void finish() {
    if (text.found() == null) {
      text.append(characters.end());
      text.finish();
    }
  }

  @Override
  public String toString() {
    return text.text();
  }
}
