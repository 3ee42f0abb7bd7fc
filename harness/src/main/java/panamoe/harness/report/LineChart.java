package panamoe.harness.report;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import panamoe.harness.report.Svg.Anchor;

/**
 * Curves of non-negative values in one chart with a legend.
 *
 * @param from a value at or above the beginning of the y axis; the x axis begins at 0
 * @param until the x axis reaches at least this
 */
public record LineChart(
    String title, String xTitle, List<Curve> curves, double from, double until) {
  private static final int WIDTH = 820;
  private static final int HEIGHT = 260;
  private static final int LEFT = 72;
  private static final int RIGHT = WIDTH - 16;
  private static final int TOP = 36;
  private static final int BOTTOM = HEIGHT - 44;

  /**
   * @param dots whether to mark single points, for sparse values
   */
  public record Curve(String name, double[] x, double[] y, boolean dots) {}

  public Svg draw(String description) {
    Axis xAxis = Axis.over(0, Math.max(until, greatest(Curve::x)), 10, LEFT, RIGHT);
    Axis yAxis = Axis.over(from, greatest(Curve::y), 5, BOTTOM, TOP);
    Svg svg = new Svg(WIDTH, HEIGHT, description);
    svg.text(LEFT, 20, Anchor.START, "title", title);
    for (double tick : yAxis.ticks()) {
      svg.line(LEFT, yAxis.place(tick), RIGHT, yAxis.place(tick), "grid");
      svg.text(LEFT - 8, yAxis.place(tick) + 4, Anchor.END, "label", yAxis.label(tick));
    }
    for (double tick : xAxis.ticks()) {
      svg.text(xAxis.place(tick), BOTTOM + 18, Anchor.MIDDLE, "label", xAxis.label(tick));
    }
    svg.text((LEFT + RIGHT) / 2.0, BOTTOM + 36, Anchor.MIDDLE, "label", xTitle);
    for (int i = 0; i < curves.size(); i++) {
      draw(svg, curves.get(i), "curve-" + i, xAxis, yAxis);
      svg.text(
          RIGHT - 110.0 * (curves.size() - 1 - i),
          20,
          Anchor.END,
          "legend-" + i,
          curves.get(i).name());
    }
    return svg;
  }

  private void draw(Svg svg, Curve curve, String style, Axis xAxis, Axis yAxis) {
    double[] x = xAxis.places(curve.x());
    double[] y = yAxis.places(curve.y());
    svg.path(x, y, style);
    if (curve.dots()) {
      for (int i = 0; i < x.length; i++) {
        svg.dot(x[i], y[i], "dot-" + style, hint(curve.x()[i], curve.y()[i]));
      }
    }
  }

  private String hint(double x, double y) {
    return xTitle
        + String.format(Locale.ROOT, x == Math.rint(x) ? " %.0f" : " %.3f", x)
        + String.format(Locale.ROOT, ": %.4f", y);
  }

  private double greatest(Function<Curve, double[]> values) {
    return curves.stream().map(values).flatMapToDouble(Arrays::stream).max().orElseThrow();
  }
}
