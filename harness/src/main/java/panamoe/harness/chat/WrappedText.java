package panamoe.harness.chat;

import java.io.PrintWriter;
import java.text.BreakIterator;
import java.util.Locale;
import java.util.function.IntSupplier;
import org.jline.utils.WCWidth;

/**
 * A streamed text, which is broken between words at the last column of a terminal. A word is
 * printed when its end is known. Control characters, with which a text could steer the terminal,
 * are replaced.
 */
final class WrappedText {
  private static final int TAB = 8;

  private final PrintWriter out;
  private final IntSupplier columns;
  private final BreakIterator breaks = BreakIterator.getLineInstance(Locale.ROOT);
  // The last word, which may go on.
  private String rest = "";
  private int column;
  // Columns of blanks before the next word, which the end of a line takes away.
  private int gap;

  /**
   * @param columns of the terminal now; 0 without one: the text is printed as it is
   */
  WrappedText(PrintWriter out, IntSupplier columns) {
    this.out = out;
    this.columns = columns;
  }

  void print(String piece) {
    int most = columns.getAsInt();
    if (most == 0) {
      out.print(piece);
    } else {
      rest += piece;
      breaks.setText(rest);
      int from = 0;
      for (int to = breaks.next(); to < rest.length() && to > 0; to = breaks.next()) {
        word(rest.substring(from, to), most);
        from = to;
      }
      rest = rest.substring(from);
      if (!rest.isEmpty() && Character.isWhitespace(rest.charAt(rest.length() - 1))) {
        end();
      }
    }
    out.flush();
  }

  /** Prints the last word. */
  void end() {
    word(rest, columns.getAsInt());
    rest = "";
    out.flush();
  }

  /** Prints what takes no column, such as a change of colour. */
  void style(String sequence) {
    end();
    out.print(sequence);
    out.flush();
  }

  private void word(String text, int most) {
    String word = text.stripTrailing();
    if (!word.isEmpty()) {
      if (column > 0 && column + gap + width(word) > most) {
        newLine();
      }
      out.print(" ".repeat(gap));
      column += gap;
      gap = 0;
    }
    for (int i = 0, next; i < word.length(); i = next) {
      next = i + WCWidth.charCountForGraphemeCluster(word, i);
      show(word.substring(i, next), WCWidth.wcwidthForGraphemeCluster(word, i), most);
    }
    text.substring(word.length()).chars().forEach(this::blank);
  }

  private static int width(String word) {
    int width = 0;
    for (int i = 0; i < word.length(); i += WCWidth.charCountForGraphemeCluster(word, i)) {
      width += Math.abs(WCWidth.wcwidthForGraphemeCluster(word, i));
    }
    return width;
  }

  /**
   * @param width in columns; -1 for a control character
   */
  private void show(String character, int width, int most) {
    if (column + Math.abs(width) > most) {
      newLine(); // within a word that is longer than a line
    }
    out.print(width < 0 ? "\ufffd" : character);
    column += Math.abs(width);
  }

  private void blank(int blank) {
    switch (blank) {
      case '\n' -> newLine();
      case '\t' -> gap += TAB - (column + gap) % TAB;
      default -> gap += Math.max(0, WCWidth.wcwidth(blank));
    }
  }

  private void newLine() {
    out.print('\n');
    column = 0;
    gap = 0;
  }
}
