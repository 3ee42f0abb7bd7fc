package panamoe.harness.report;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import panamoe.io.Words;

/**
 * An SVG builder, in user units with the origin at the top left. A shape's class selects its style
 * in {@code plot.css}, which follows the reader's light or dark setting.
 */
public final class Svg {
  /** The position of a text relative to its point. */
  enum Anchor {
    START,
    MIDDLE,
    END
  }

  /** About the widest letter of a label. */
  private static final double LETTER = 7;

  /** The style sheet of all drawings. */
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

  /** About the most room that a label takes. */
  static double width(String label) {
    return LETTER * label.length();
  }

  /** Tells the page's script something about the drawing: {@code data-NAME}. */
  void tell(String name, String value) {
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
   * @param name of what it shows, for the page's script
   * @param values that the points stand for, x and y of each
   */
  void path(double[] x, double[] y, String style, String name, String values) {
    StringBuilder points = new StringBuilder();
    for (int i = 0; i < x.length; i++) {
      points.append(Words.of("%.1f,%.1f ", x[i], y[i]));
    }
    add(
        "<polyline class=\"%s\" points=\"%s\" data-name=\"%s\" data-values=\"%s\"/>",
        style, points.toString().strip(), Html.escape(name), values);
  }

  /** A point that shows {@code hint} under the mouse pointer. */
  void dot(double x, double y, String style, String hint) {
    add(
        "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>%s</title></circle>",
        style, x, y, Html.escape(hint));
  }

  /** A rectangle of a style that shows {@code hint} under the mouse pointer. */
  void styledCell(
      double x, double y, double cellWidth, double cellHeight, String style, String hint) {
    add(
        "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"><title>%s</title></rect>",
        style, x, y, cellWidth, cellHeight, Html.escape(hint));
  }

  /** A rectangle of one colour that shows {@code hint} under the mouse pointer. */
  void cell(double x, double y, double cellWidth, double cellHeight, String colour, String hint) {
    add(
        "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"><title>%s</title></rect>",
        x, y, cellWidth, cellHeight, colour, Html.escape(hint));
  }

  void text(double x, double y, Anchor anchor, String style, String text) {
    add(
        "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>",
        style, x, y, anchor.name().toLowerCase(Locale.ROOT), Html.escape(text));
  }

  /** The {@code svg} element for a page that includes {@link #STYLE}. */
  String inline() {
    return element("", "");
  }

  /** The content of a standalone file. */
  public String standalone() {
    return element(" xmlns=\"http://www.w3.org/2000/svg\"", "<style>" + STYLE + "</style>\n");
  }

  private String element(String namespace, String style) {
    return Words.of(
        "<svg%s class=\"plot\"%s viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n%s%s</svg>\n",
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
