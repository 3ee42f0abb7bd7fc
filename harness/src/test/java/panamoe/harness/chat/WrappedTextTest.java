package panamoe.harness.chat;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Random;
import org.jline.utils.WCWidth;
import org.junit.jupiter.api.Test;

class WrappedTextTest {
  private static String wrapped(int columns, String... pieces) {
    StringWriter out = new StringWriter();
    WrappedText text = new WrappedText(new PrintWriter(out), () -> columns);
    for (String piece : pieces) {
      text.print(piece);
    }
    text.end();
    return out.toString();
  }

  @Test
  void linesAreBrokenBetweenWords() {
    assertEquals("one two\nthree", wrapped(10, "one two three"));
    assertEquals("one two\nthree", wrapped(10, "one tw", "o th", "ree"));
    assertEquals("0123456789\nab", wrapped(10, "0123456789 ab"), "a line that is full");
    assertEquals("one\n\n  two\nx", wrapped(10, "one\n\n", "  two\n", "x"), "lines of the text");
    assertEquals("a       b\nlonger", wrapped(10, "a\tb longer"), "a tab");
  }

  @Test
  void aWordLongerThanALineIsBrokenAtItsEdge() {
    assertEquals("see\n0123456789\nabc", wrapped(10, "see 0123456789abc"));
  }

  @Test
  void wideCharactersTakeTwoColumns() {
    assertEquals("議員會議\n員", wrapped(9, "議員會議員"));
    assertEquals(
        "ab 👩‍👩‍👧\ncd", wrapped(6, "ab 👩", "‍👩‍👧", " cd"), "one character of several");
    assertEquals("e\u0301e\u0301e\u0301 a", wrapped(5, "e", "\u0301e\u0301e\u0301 a"));
  }

  @Test
  void noLineIsWiderThanTheTerminalHoweverATextIsCut() {
    String text = "The committee thanks 議員會 its members for\tthe report, e\u0301t all. ".repeat(20);
    String whole = wrapped(17, text);
    Random random = new Random(3);
    for (int round = 0; round < 50; round++) {
      StringWriter out = new StringWriter();
      WrappedText cut = new WrappedText(new PrintWriter(out), () -> 17);
      for (int i = 0, next; i < text.length(); i = next) {
        next = Math.min(text.length(), i + 1 + random.nextInt(6));
        cut.print(text.substring(i, next));
      }
      cut.end();
      assertEquals(whole.replaceAll(" +\n", "\n"), out.toString().replaceAll(" +\n", "\n"));
    }
    whole
        .lines()
        .forEach(
            line ->
                assertEquals(
                    true, line.codePoints().map(WCWidth::wcwidth).sum() <= 17, () -> line));
  }

  @Test
  void aTextCannotSteerTheTerminal() {
    assertEquals("a\ufffd[2Jb\ufffd", wrapped(20, "a\u001b[2Jb\u0007"));
  }

  @Test
  void withoutATerminalNothingChanges() {
    assertEquals("one  two\tthree \u001b", wrapped(0, "one  two\tth", "ree \u001b"));
  }
}
