package panamoe.harness.report;

import java.util.List;
import java.util.stream.Collectors;

/** Builds HTML. Every argument is plain text, which is escaped here. */
public final class Html {
  private Html() {}

  /** A page that needs nothing else; the body is HTML. */
  public static String page(String title, CharSequence body) {
    return Svg.resource("report.html")
        .replace("{{title}}", escape(title))
        .replace("{{plot.css}}", Svg.STYLE)
        .replace("{{body}}", body);
  }

  /** A drawing, and one sentence that says how to read it. */
  public static String figure(Svg svg, String caption) {
    return "<figure>"
        + svg.inline()
        + "<figcaption>"
        + escape(caption)
        + "</figcaption></figure>\n";
  }

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

  public static String heading(String text) {
    return "<h2>" + escape(text) + "</h2>\n";
  }

  public static String paragraph(String text) {
    return "<p>" + escape(text) + "</p>\n";
  }

  /** A table with words in the first column and numbers in the others. */
  public static String table(List<String> head, List<List<String>> rows) {
    return "<div class=\"wide\"><table>\n<thead>"
        + row("th", head)
        + "</thead>\n<tbody>\n"
        + rows.stream().map(cells -> row("td", cells) + "\n").collect(Collectors.joining())
        + "</tbody>\n</table></div>\n";
  }

  private static String row(String element, List<String> cells) {
    return cells.stream()
        .map(cell -> "<" + element + ">" + escape(cell) + "</" + element + ">")
        .collect(Collectors.joining("", "<tr>", "</tr>"));
  }
}
