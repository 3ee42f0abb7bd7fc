package panamoe.harness.help;

import java.util.ArrayList;
import java.util.List;

/** Breaks text into lines. */
public final class HelpLines {
  private HelpLines() {}

  /**
   * Breaks sentences at spaces.
   *
   * @param first prefix of the first line
   * @param others prefix of each further line
   * @param width maximum length of a line, unless a word is longer
   */
  public static List<String> broken(String text, String first, String others, int width) {
    List<String> lines = new ArrayList<>();
    StringBuilder line = new StringBuilder(first);
    boolean empty = true;
    for (String word : text.strip().split(" +")) {
      if (!empty && line.length() + 1 + word.length() > width) {
        lines.add(line.toString());
        line = new StringBuilder(others);
        empty = true;
      }
      line.append(empty ? "" : " ").append(word);
      empty = false;
    }
    lines.add(line.toString());
    return lines;
  }

  /** Breaks a command before options, with a backslash. */
  static List<String> command(String line, int width) {
    if (line.length() <= width) {
      return List.of(line);
    }
    List<String> lines = new ArrayList<>();
    StringBuilder now = new StringBuilder();
    for (String piece : line.split("(?= -)")) {
      if (!now.isEmpty() && now.length() + piece.length() + 2 > width) {
        lines.add(now + " \\");
        now = new StringBuilder("      ").append(piece.strip());
      } else {
        now.append(piece);
      }
    }
    lines.add(now.toString());
    return lines;
  }
}
