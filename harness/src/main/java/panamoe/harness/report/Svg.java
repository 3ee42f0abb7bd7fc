package panamoe.harness.report;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import panamoe.io.Words;

/**
 * An SVG builder, in user units with the origin at the top left. A shape's class selects its colour
 * in {@code colours.css}, which follows the reader's light or dark setting.
 */
public final class Svg {
  /** About the widest letter of a label. */
  private static final double LETTER = 7;

  /** The style sheet of all drawings; the page has the colours. */
  static final String STYLE = resource("plot.css");

  private final int width;
  private final int height;
  private final String description;
  private final StringBuilder attributes = new StringBuilder();
  private final StringBuilder shapes = new StringBuilder();

  /**
   * @param description one sentence for screen readers
   */
  Svg(int width, int height, String description) {
    this.width = width;
    this.height = height;
    this.description = description;
  }

  int width() {
    return width;
  }

  String description() {
    return description;
  }

  /** An upper bound of a label's width. */
  static double width(String label) {
    return LETTER * label.length();
  }

  /** Sets the drawing's attribute {@code data-NAME}, for the page's script. */
  void data(String name, String value) {
    attributes.append(Words.of(" data-%s=\"%s\"", name, Html.escape(value)));
  }

  /** Shapes up to {@link #endWindow} are cut off at a rectangle. */
  void beginWindow(double x, double y, double windowWidth, double windowHeight) {
    add(
        "<svg x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" viewBox=\"%.1f %.1f %.1f %.1f\">",
        x, y, windowWidth, windowHeight, x, y, windowWidth, windowHeight);
  }

  void endWindow() {
    add("</svg>");
  }

  void line(double x1, double y1, double x2, double y2, String style) {
    add(
        "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>",
        style, x1, y1, x2, y2);
  }

  /**
   * A line through the points (x[i], y[i]).
   *
   * @param data attributes for the page's script, or nothing
   */
  void path(double[] x, double[] y, String style, String data) {
    StringBuilder points = new StringBuilder();
    for (int i = 0; i < x.length; i++) {
      points.append(Words.of("%.1f,%.1f ", x[i], y[i]));
    }
    add("<polyline class=\"%s\" points=\"%s\"%s/>", style, points.toString().strip(), data);
  }

  void dot(double x, double y, String style) {
    add("<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>", style, x, y);
  }

  /** A rectangle that shows {@code hint} under the mouse pointer. */
  void cell(double x, double y, double cellWidth, double cellHeight, String style, String hint) {
    add(
        "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"><title>%s</title></rect>",
        style, x, y, cellWidth, cellHeight, Html.escape(hint));
  }

  /**
   * A grid of cells that fills a rectangle: a path for each style, so that a large grid stays
   * small.
   *
   * @param styles [row][column]
   */
  void grid(double x, double y, double gridWidth, double gridHeight, String[][] styles) {
    Map<String, StringBuilder> paths = new TreeMap<>();
    for (int row = 0; row < styles.length; row++) {
      String[] cells = styles[row];
      for (int begin = 0, end; begin < cells.length; begin = end) {
        end = begin + 1;
        while (end < cells.length && cells[end].equals(cells[begin])) {
          end++;
        }
        paths
            .computeIfAbsent(cells[begin], _ -> new StringBuilder())
            .append("M" + begin + " " + row + ".5h" + (end - begin));
      }
    }
    add(
        "<svg x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" viewBox=\"0 0 %d %d\""
            + " preserveAspectRatio=\"none\" shape-rendering=\"crispEdges\">",
        x, y, gridWidth, gridHeight, styles[0].length, styles.length);
    paths.forEach((style, path) -> add("<path class=\"%s\" d=\"%s\"/>", style, path));
    endWindow();
  }

  /**
   * @param anchor the part of the text at x: start, middle or end
   */
  void text(double x, double y, String anchor, String style, String text) {
    add(
        "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>",
        style, x, y, anchor, Html.escape(text));
  }

  /** The {@code svg} element for a page that includes {@link #STYLE}. */
  String inline() {
    return element("", "");
  }

  /** The content of a standalone file. */
  public String standalone() {
    String style = "<style>\n" + Html.COLOURS + withLiterals(STYLE) + "</style>\n";
    return element(" xmlns=\"http://www.w3.org/2000/svg\"", style);
  }

  /** A colour of the light theme before each variable, for programs that know no variables. */
  private static String withLiterals(String style) {
    Map<String, String> light =
        Pattern.compile("(--[\\w-]+): (?:light-dark\\()?(#\\w+)")
            .matcher(Html.COLOURS)
            .results()
            .collect(Collectors.toMap(found -> found.group(1), found -> found.group(2)));
    return Pattern.compile("([\\w-]+): var\\((--[\\w-]+)\\);")
        .matcher(style)
        .replaceAll(
            (MatchResult use) ->
                use.group(1) + ": " + light.get(use.group(2)) + "; " + use.group());
  }

  private String element(String namespace, String style) {
    return Words.of(
        "<svg%s class=\"plot\"%s width=\"%3$d\" height=\"%4$d\" viewBox=\"0 0 %3$d %4$d\" role=\"img\" aria-label=\"%5$s\">\n%6$s%7$s</svg>\n",
        namespace, attributes, width, height, Html.escape(description), style, shapes);
  }

  private void add(String format, Object... values) {
    shapes.append(Words.of(format, values)).append('\n');
  }

  static String resource(String name) {
    try (InputStream stream = Svg.class.getResourceAsStream(name)) {
      return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException("the program's own file " + name + " cannot be read", e);
    }
  }
}
