package panamoe.harness.report;

import java.util.List;
import java.util.Locale;
import java.util.SortedMap;
import java.util.function.IntPredicate;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import panamoe.io.Count;
import panamoe.io.Words;

/** Builds HTML. Arguments are plain text, which is escaped here, unless their method says HTML. */
public final class Html {
  /** Wider drawings take a row of their own, and scroll in a narrow window. */
  private static final int BROAD = 500;

  private static final String SHARED = "/panamoe/harness/page/";

  /** The colours of all pages and drawings, by theme. */
  static final String COLOURS = Svg.resource(SHARED + "colours.css");

  /** Scripts of all pages; a script follows those that it uses. */
  private static final List<String> SCRIPTS =
      List.of(
          SHARED + "tip.js",
          SHARED + "numbers.js",
          SHARED + "colours.js",
          SHARED + "cursor.js",
          SHARED + "legend.js",
          SHARED + "token-text.js",
          "plots.js",
          "report.js");

  /** Fewer sections need no contents. */
  private static final int CONTENTS_FROM = 3;

  private static final Pattern SECTION = Pattern.compile("<h2 id=\"(.*?)\">(.*?)</h2>");

  private Html() {}

  /** A page in one file; the body is HTML. */
  public static String page(String title, CharSequence body) {
    return Svg.resource("report.html")
        .replace("{{title}}", escape(title))
        .replace("{{styles}}", COLOURS + Svg.resource(SHARED + "page.css") + Svg.STYLE)
        .replace("{{script}}", script())
        .replace("{{contents}}", contents(body))
        .replace("{{body}}", body);
  }

  /** Links to the sections of a body. */
  private static String contents(CharSequence body) {
    List<MatchResult> sections = SECTION.matcher(body).results().toList();
    return sections.size() < CONTENTS_FROM
        ? ""
        : sections.stream()
            .map(found -> "<a href=\"#" + found.group(1) + "\">" + found.group(2) + "</a>\n")
            .collect(Collectors.joining("", "<nav aria-label=\"Contents\">\n", "</nav>\n"));
  }

  /** The modules in one, because a page in a single file has none to import. */
  private static String script() {
    return SCRIPTS.stream()
        .flatMap(name -> Svg.resource(name).lines())
        .filter(line -> !line.startsWith("import "))
        .map(line -> line.replaceFirst("^export ", ""))
        .collect(Collectors.joining("\n"));
  }

  /** Figures (HTML) in a row, as many as the window has room for. */
  public static String figures(String... figures) {
    return "<div class=\"figures\">\n" + String.join("", figures) + "</div>\n";
  }

  /** A drawing, and one sentence that says how to read it. */
  public static String figure(Svg svg, String caption) {
    return figure(svg, caption, "");
  }

  static String figure(Svg svg, String caption, String attribute) {
    boolean broad = svg.width() > BROAD;
    return Words.of(
        "<figure%s%s>%s<figcaption>%s</figcaption></figure>\n",
        broad ? " class=\"broad\"" : "",
        attribute,
        broad ? wide(svg.description(), svg.inline()) : svg.inline(),
        escape(caption));
  }

  /** A box that scrolls where its content (HTML) is wider than the window. */
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

  /** The attribute of an element that the page shows while a layer is chosen; null: always. */
  static String ofLayer(Integer layer) {
    return layer == null ? "" : " data-layer=\"" + layer + "\"";
  }

  /**
   * What chooses a layer, for the whole page; hidden from a browser without scripts.
   *
   * @param experts the number of experts of each MoE layer
   */
  static String layerChoice(SortedMap<Integer, Integer> experts) {
    return experts.entrySet().stream()
        .map(
            each ->
                Words.of(
                    "<option value=\"%d\">%1$d (%s)</option>",
                    each.getKey(), Count.of(each.getValue(), "expert")))
        .collect(
            Collectors.joining(
                "",
                "<p class=\"choices\" hidden=\"\"><label>layer <select class=\"layer\">",
                "</select></label></p>\n"));
  }

  /** The heading of a section, to which the page's contents link. */
  public static String heading(String text) {
    String id = text.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", "-");
    return "<h2 id=\"" + id + "\">" + escape(text) + "</h2>\n";
  }

  public static String paragraph(String text) {
    return "<p>" + escape(text) + "</p>\n";
  }

  /** Commands, one per line. */
  public static String commands(String lines) {
    return "<pre>" + escape(lines) + "</pre>\n";
  }

  /** Content (HTML) behind a line that opens it. */
  static String details(String summary, String content) {
    return "<details><summary>" + escape(summary) + "</summary>\n" + content + "</details>\n";
  }

  /**
   * A table.
   *
   * @param words which columns hold words; the others hold numbers
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
                  ? "<td></td>" // an empty th is no header to a screen reader
                  : "<" + kind + attributes + side + ">" + cell + "</" + kind + ">";
            })
        .collect(Collectors.joining("", "<tr>", "</tr>"));
  }
}
