package panamoe.harness.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import panamoe.io.Words;

/**
 * Curves of non-negative values in one chart with a legend.
 *
 * @param from the y axis begins here, at most the least value; the x axis begins at 0
 * @param to the y axis ends here, and curves above it are cut off; 0: at the largest value
 * @param until the x axis ends here or at the largest x, whichever is more
 */
public record LineChart(
    String title, String xTitle, List<Curve> curves, double from, double to, double until) {
  private static final int WIDTH = 420;
  private static final int LEFT = 46; // more where labels are long
  private static final int RIGHT = WIDTH - 14;
  private static final int GAP = 6; // from a label to the plot
  private static final int TOP = 36;
  private static final int PLOT_HEIGHT = 156;
  private static final int LEGEND_LINE = 18;
  private static final double LEGEND_LINE_LENGTH = 22;
  private static final double LEGEND_GAP = 14;

  /** How a curve is drawn. */
  public enum Form {
    LINE,
    /** For few points: each is marked. */
    POINTS,
    /** For noise: a moving average over the faint values. */
    SMOOTHED
  }

  public record Curve(String name, double[] x, double[] y, Form form) {
    /** Curves of fewer points are not smoothed. */
    private static final int SMOOTHED_FROM = 40;

    /** The window reaches this part of the curve to either side. */
    private static final double WINDOW = 1 / 40.0;

    private boolean isSmoothed() {
      return form == Form.SMOOTHED && y.length >= SMOOTHED_FROM;
    }

    /** Moving average; at the beginning its window is smaller, because curves are steep there. */
    private double[] smoothed() {
      double[] means = new double[y.length];
      for (int i = 0; i < y.length; i++) {
        int reach = Math.min(i, (int) (WINDOW * y.length));
        int end = Math.min(y.length, i + reach + 1);
        means[i] = Arrays.stream(y, i - reach, end).average().orElseThrow();
      }
      return means;
    }
  }

  /** A curve's name in the legend. */
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
    double right = Math.min(RIGHT, WIDTH - xAxis.labelWidth() / 2); // room for half of a label
    xAxis = xAxis.between(left, right);
    Svg svg = new Svg(WIDTH, bottom + 42, description);
    svg.data("x-title", xTitle);
    svg.data("window", left + " " + right + " " + top + " " + bottom);
    svg.text(8, 18, "start", "title", title);
    for (double tick : yAxis.ticks()) {
      svg.line(left, yAxis.coordinate(tick), right, yAxis.coordinate(tick), "grid");
      svg.text(left - GAP, yAxis.coordinate(tick) + 4, "end", "label", yAxis.label(tick));
    }
    for (double tick : xAxis.ticks()) {
      svg.text(xAxis.coordinate(tick), bottom + 16, "middle", "label", xAxis.label(tick));
    }
    svg.text((left + right) / 2, bottom + 34, "middle", "label", xTitle);
    for (Entry entry : legend) {
      double y = TOP + LEGEND_LINE * entry.line();
      double end = entry.x() + LEGEND_LINE_LENGTH;
      svg.line(entry.x(), y, end, y, "c" + entry.curve());
      svg.text(end + 5, y + 4, "start", "label", curves.get(entry.curve()).name());
    }
    svg.beginWindow(left - 4, top - 4, right - left + 8, PLOT_HEIGHT + 8);
    for (int i = 0; i < curves.size(); i++) {
      draw(svg, curves.get(i), "c" + i, xAxis, yAxis);
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
    double[] x = xAxis.coordinates(curve.x());
    double[] y = curve.y();
    if (curve.isSmoothed()) {
      svg.path(x, yAxis.coordinates(y), style + " raw", "");
      y = curve.smoothed();
    }
    double[] shown = y;
    String values =
        IntStream.range(0, x.length)
            .mapToObj(i -> plain(curve.x()[i]) + " " + plain(shown[i]))
            .collect(Collectors.joining(" "));
    String data =
        Words.of(" data-name=\"%s\" data-values=\"%s\"", Html.escape(curve.name()), values);
    svg.path(x, yAxis.coordinates(y), style, data);
    boolean marked = curve.form() == Form.POINTS || x.length == 1; // a line needs two
    for (int i = 0; marked && i < x.length; i++) {
      svg.dot(x[i], yAxis.coordinate(y[i]), style);
    }
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
