package panamoe.harness.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import panamoe.harness.report.Svg.Anchor;
import panamoe.io.Words;

/**
 * Curves of non-negative values in one chart with a legend.
 *
 * @param from a value at or above the beginning of the y axis; the x axis begins at 0
 * @param to a value at or below the end of the y axis, above which curves are cut off; 0: of all
 * @param until the x axis reaches at least this
 */
public record LineChart(
    String title, String xTitle, List<Curve> curves, double from, double to, double until) {
  private static final int WIDTH = 420;
  private static final int LEFT = 58; // more where labels are long
  private static final int RIGHT = WIDTH - 14;
  private static final int GAP = 6; // from a label to the plot
  private static final int TOP = 32;
  private static final int PLOT_HEIGHT = 156;
  private static final int LEGEND_LINE = 18;
  private static final double LEGEND_LINE_LENGTH = 16;
  private static final double LEGEND_GAP = 14;

  /**
   * @param dots whether to mark single points, for sparse values
   */
  public record Curve(String name, double[] x, double[] y, boolean dots) {}

  /** Where a curve's name stands in the legend. */
  private record Entry(int curve, double x, int line) {}

  /** A chart whose y axis holds all values. */
  public LineChart(String title, String xTitle, List<Curve> curves, double from, double until) {
    this(title, xTitle, curves, from, 0, until);
  }

  public Svg draw(String description) {
    List<Entry> legend = legend();
    int lines = legend.isEmpty() ? 0 : legend.getLast().line() + 1;
    int top = TOP + LEGEND_LINE * lines;
    int bottom = top + PLOT_HEIGHT;
    double last = Math.max(until, greatest(Curve::x));
    boolean counted =
        curves.stream()
            .flatMapToDouble(curve -> Arrays.stream(curve.x()))
            .allMatch(x -> x == Math.rint(x));
    Axis yAxis = Axis.over(from, to > 0 ? to : greatest(Curve::y), 5, bottom, top);
    double left = Math.max(LEFT, yAxis.labelWidth() + GAP);
    Axis xAxis = counted ? Axis.counting(0, last, 5, 0, 1) : Axis.over(0, last, 5, 0, 1);
    double right = Math.min(RIGHT, WIDTH - xAxis.labelWidth() / 2); // half of a label is beside it
    xAxis = xAxis.between(left, right);
    Svg svg = new Svg(WIDTH, bottom + 42, description);
    svg.tell("x-title", xTitle);
    svg.tell("window", left + " " + right + " " + top + " " + bottom);
    svg.text(8, 18, Anchor.START, "title", title);
    for (double tick : yAxis.ticks()) {
      svg.line(left, yAxis.place(tick), right, yAxis.place(tick), "grid");
      svg.text(left - GAP, yAxis.place(tick) + 4, Anchor.END, "label", yAxis.label(tick));
    }
    for (double tick : xAxis.ticks()) {
      svg.text(xAxis.place(tick), bottom + 16, Anchor.MIDDLE, "label", xAxis.label(tick));
    }
    svg.text((left + right) / 2, bottom + 34, Anchor.MIDDLE, "label", xTitle);
    for (Entry entry : legend) {
      double y = TOP + LEGEND_LINE * entry.line();
      double end = entry.x() + LEGEND_LINE_LENGTH;
      svg.line(entry.x(), y, end, y, "curve-" + entry.curve());
      svg.text(end + 5, y + 4, Anchor.START, "label", curves.get(entry.curve()).name());
    }
    svg.beginWindow(left - 4, top - 4, right - left + 8, PLOT_HEIGHT + 8);
    for (int i = 0; i < curves.size(); i++) {
      draw(svg, curves.get(i), "curve-" + i, xAxis, yAxis);
    }
    svg.endWindow();
    return svg;
  }

  /** The names of curves, in as many lines as they need. */
  private List<Entry> legend() {
    List<Entry> entries = new ArrayList<>();
    double x = LEFT;
    int line = 0;
    for (int i = 0; i < curves.size(); i++) {
      String name = curves.get(i).name();
      if (name.isEmpty()) {
        continue;
      }
      double width = LEGEND_LINE_LENGTH + 5 + Svg.width(name) + LEGEND_GAP;
      if (x > LEFT && x + width > RIGHT) {
        x = LEFT;
        line++;
      }
      entries.add(new Entry(i, x, line));
      x += width;
    }
    return entries;
  }

  private void draw(Svg svg, Curve curve, String style, Axis xAxis, Axis yAxis) {
    double[] x = xAxis.places(curve.x());
    double[] y = yAxis.places(curve.y());
    String values =
        IntStream.range(0, x.length)
            .mapToObj(i -> plain(curve.x()[i]) + " " + plain(curve.y()[i]))
            .collect(Collectors.joining(" "));
    svg.path(x, y, style, curve.name(), values);
    if (curve.dots()) {
      for (int i = 0; i < x.length; i++) {
        svg.dot(x[i], y[i], "dot-" + style, hint(curve.x()[i], curve.y()[i]));
      }
    }
  }

  private String hint(double x, double y) {
    return xTitle + Words.of(x == Math.rint(x) ? " %.0f" : " %.3f", x) + Words.of(": %.4f", y);
  }

  /** A number of five digits, as scripts read it. */
  private static String plain(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e15
        ? Long.toString((long) value)
        : Words.of("%.4e", value);
  }

  private double greatest(Function<Curve, double[]> values) {
    return curves.stream().map(values).flatMapToDouble(Arrays::stream).max().orElseThrow();
  }
}
