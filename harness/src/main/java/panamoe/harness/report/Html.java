package panamoe.harness.report;

import java.util.List;
import java.util.function.IntPredicate;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import panamoe.io.Words;

/** Builds HTML. Every argument is plain text, which is escaped here, unless it says otherwise. */
public final class Html {
  /** Wider drawings take a line of their own, and scroll in a narrow window. */
  private static final int BROAD = 500;

  /** Scripts of all pages, each behind those that it uses. */
  private static final List<String> SCRIPTS =
      List.of(
          "/panamoe/harness/page/tip.js",
          "/panamoe/harness/page/numbers.js",
          "/panamoe/harness/page/colours.js",
          "/panamoe/harness/page/cursor.js",
          "/panamoe/harness/page/legend.js",
          "/panamoe/harness/page/token-text.js",
          "crosshair.js",
          "report.js");

  private Html() {}

  /** A page that needs nothing else; the body is HTML. */
  public static String page(String title, CharSequence body) {
    return Svg.resource("report.html")
        .replace("{{title}}", escape(title))
        .replace("{{styles}}", Svg.STYLE + Svg.resource("/panamoe/harness/page/tokens.css"))
        .replace("{{script}}", script())
        .replace("{{body}}", body);
  }

  /** The modules in one, because a page that is a single file has none to import. */
  private static String script() {
    return SCRIPTS.stream()
        .flatMap(name -> Svg.resource(name).lines())
        .filter(line -> !line.startsWith("import "))
        .map(line -> line.replaceFirst("^export ", ""))
        .collect(Collectors.joining("\n"));
  }

  /** Drawings side by side, as many as the window has room for; they are HTML. */
  public static String figures(String... figures) {
    return "<div class=\"figures\">\n" + String.join("", figures) + "</div>\n";
  }

  /** A drawing, and one sentence that says how to read it. */
  public static String figure(Svg svg, String caption) {
    boolean broad = svg.width() > BROAD;
    return Words.of(
        "<figure%s>%s<figcaption>%s</figcaption></figure>\n",
        broad ? " class=\"broad\"" : "",
        broad ? wide(svg.description(), svg.inline()) : svg.inline(),
        escape(caption));
  }

  /** HTML that scrolls by itself where it is wider than the window. */
  private static String wide(String label, String content) {
    return Words.of(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"%s\">%s</div>",
        escape(label), content);
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

  /** Commands, one a line. */
  public static String commands(String lines) {
    return "<pre>" + escape(lines) + "</pre>\n";
  }

  /** Content, which is HTML, behind a line that opens it. */
  static String details(String summary, String content) {
    return "<details><summary>" + escape(summary) + "</summary>\n" + content + "</details>\n";
  }

  /**
   * A table.
   *
   * @param words which columns have words; the others have numbers
   */
  static String table(List<String> head, List<List<String>> rows, IntPredicate words) {
    return wide(
            "Table: "
                + head.stream().filter(cell -> !cell.isEmpty()).collect(Collectors.joining(", ")),
            "<table>\n<thead>"
                + row("th", " scope=\"col\"", head, words)
                + "</thead>\n<tbody>\n"
                + rows.stream()
                    .map(cells -> row("td", "", cells, words) + "\n")
                    .collect(Collectors.joining())
                + "</tbody>\n</table>")
        + "\n";
  }

  private static String row(
      String kind, String attributes, List<String> cells, IntPredicate words) {
    return IntStream.range(0, cells.size())
        .mapToObj(
            i -> {
              String cell = escape(cells.get(i));
              String side = words.test(i) ? " class=\"words\"" : "";
              return cell.isEmpty()
                  ? "<td></td>" // a header of no words heads nothing
                  : "<" + kind + attributes + side + ">" + cell + "</" + kind + ">";
            })
        .collect(Collectors.joining("", "<tr>", "</tr>"));
  }
}
