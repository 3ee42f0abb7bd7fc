package panamoe.harness.report;

import java.util.List;
import java.util.Locale;
import java.util.function.ToIntFunction;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
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
    return SECTION
        .matcher(body)
        .results()
        .map(found -> Words.of("<a href=\"#%s\">%s</a>\n", found.group(1), found.group(2)))
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
    return figure(svg, caption, null);
  }

  /**
   * @param layer the page shows the figure while this layer is chosen; null: always
   */
  static String figure(Svg svg, String caption, Integer layer) {
    boolean broad = svg.width() > BROAD;
    return Words.of(
        "<figure%s%s>%s<figcaption>%s</figcaption></figure>\n",
        broad ? " class=\"broad\"" : "",
        layer == null ? "" : " data-layer=\"" + layer + "\"",
        broad ? wide(svg.description(), svg.inline()) : svg.inline(),
        escape(caption));
  }

  /** A box that scrolls where its content (HTML) is wider than the window. */
  static String wide(String label, String content) {
    return Words.of(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"%s\">%s</div>",
        escape(label), content);
  }

  /** HTML forbids control characters, which an undertrained model may generate. */
  static String escape(String text) {
    return text.replaceAll("[\\p{Cc}&&[^\n\t]]", "\ufffd")
        .replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;")
        .replace("'", "&#39;");
  }

  /**
   * What chooses a layer, for the whole page; hidden from a browser without scripts.
   *
   * @param layer its index in the model
   */
  static <L> String layerChoice(List<L> layers, ToIntFunction<L> layer, ToIntFunction<L> experts) {
    String options =
        layers.stream()
            .map(
                each ->
                    Words.of(
                        "<option value=\"%d\">%1$d (%s)</option>",
                        layer.applyAsInt(each), Count.of(experts.applyAsInt(each), "expert")))
            .collect(Collectors.joining());
    return Words.of(
        "<p class=\"choices\" hidden=\"\"><label>layer <select class=\"layer\">%s</select></label></p>\n",
        options);
  }

  /** The heading of a section, to which the page's contents link. */
  public static String heading(String text) {
    return Words.of("<h2 id=\"%s\">%s</h2>\n", id(text), escape(text));
  }

  /** A title as an address or a file has it. */
  static String id(String title) {
    return title.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", "-").replaceFirst("-$", "");
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
}
