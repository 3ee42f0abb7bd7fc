package panamoe.engine;

import java.util.List;
import java.util.function.Consumer;
import panamoe.data.Tokenizer;
import panamoe.data.Utf8Stream;

/** The text of tokens as they are drawn, up to a stop text. */
final class GeneratedText {
  private final Tokenizer tokenizer;
  private final Utf8Stream characters = new Utf8Stream();
  private final StopTexts text;

  GeneratedText(Tokenizer tokenizer, List<String> stops, Consumer<String> onText) {
    this.tokenizer = tokenizer;
    this.text = new StopTexts(stops, onText);
  }

  /** Adds a token; returns whether a stop text is complete. */
  boolean append(int token) {
    text.append(characters.append(tokenizer.bytesOf(token)));
    return text.stopped();
  }

  /** Emits what was held back. */
  void finish() {
    if (!text.stopped()) {
      text.append(characters.end());
      text.finish();
    }
  }

  @Override
  public String toString() {
    return text.text();
  }
}
