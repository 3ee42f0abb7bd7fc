package panamoe.harness.help;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The text at the end of a command's help.
 *
 * @param parts in order
 */
record Footer(List<Part> parts) {
  sealed interface Part {}

  /** Sentences, which may be broken across lines. */
  record Prose(String text) implements Part {}

  /**
   * A command to type, or a word with an explanation.
   *
   * @param remark the explanation; empty for none
   * @param line as in the footer
   */
  record Example(String command, String remark, String line) implements Part {}

  record Blank() implements Part {}

  private static final Pattern REMARKED = Pattern.compile(" *(\\S.*?) {3,}(\\S.*)");

  /** Parses lines: indented ones are examples, with a remark after three spaces or more. */
  static Footer of(String... lines) {
    List<Part> parts = new ArrayList<>();
    for (String line : lines) {
      if (line.isBlank()) {
        parts.add(new Blank());
      } else if (line.startsWith("  ")) {
        Matcher remarked = REMARKED.matcher(line);
        parts.add(
            remarked.matches()
                ? new Example(remarked.group(1), remarked.group(2), line)
                : new Example(line.strip(), "", line));
      } else if (!parts.isEmpty() && parts.getLast() instanceof Prose(String before)) {
        parts.set(parts.size() - 1, new Prose(before + " " + line));
      } else {
        parts.add(new Prose(line));
      }
    }
    return new Footer(List.copyOf(parts));
  }
}
