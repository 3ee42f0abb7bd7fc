package panamoe.harness.report;

import java.util.List;
import java.util.stream.Collectors;

/** Builds HTML. Every argument is plain text, which is escaped here. */
final class Html {
  private Html() {}

  static String escape(String text) {
    StringBuilder escaped = new StringBuilder(text.length());
    text.codePoints()
        .forEach(
            character -> {
              switch (character) {
                case '&' -> escaped.append("&amp;");
                case '<' -> escaped.append("&lt;");
                case '>' -> escaped.append("&gt;");
                case '"' -> escaped.append("&quot;");
                case '\'' -> escaped.append("&#39;");
                default -> {
                  // HTML forbids control characters, which an undertrained model may generate.
                  boolean control =
                      Character.isISOControl(character) && character != '\n' && character != '\t';
                  escaped.appendCodePoint(control ? '\ufffd' : character);
                }
              }
            });
    return escaped.toString();
  }

  static String heading(String text) {
    return "<h2>" + escape(text) + "</h2>\n";
  }

  static String paragraph(String text) {
    return "<p>" + escape(text) + "</p>\n";
  }

  /** A table with words in the first column and numbers in the others. */
  static String table(List<String> head, List<List<String>> rows) {
    return "<table>\n<thead>"
        + row("th", head)
        + "</thead>\n<tbody>\n"
        + rows.stream().map(cells -> row("td", cells) + "\n").collect(Collectors.joining())
        + "</tbody>\n</table>\n";
  }

  private static String row(String element, List<String> cells) {
    return cells.stream()
        .map(cell -> "<" + element + ">" + escape(cell) + "</" + element + ">")
        .collect(Collectors.joining("", "<tr>", "</tr>"));
  }
}
