package panamoe.harness.report;

import java.util.List;
import java.util.stream.DoubleStream;
import panamoe.io.Words;

/**
 * Horizontal bars, each a sum of parts, with a legend.
 *
 * @param parts their names, at most as many as there are colours
 * @param unit of the values, such as {@code ms}
 */
public record StackedBars(String title, List<String> parts, List<Bar> bars, String unit) {
  private static final int WIDTH = 820;
  private static final int RIGHT = WIDTH - 30; // room for half of the last label
  private static final int TOP = 64;
  private static final int HEIGHT = 24;
  private static final int LEGEND = 98; // from one part to the next, if its name has room
  private static final int GAP = 8; // from a bar's name to the bar
  private static final int COLOURS = 8;

  /**
   * @param values of each part, from 0
   */
  public record Bar(String name, double[] values) {
    double sum() {
      return DoubleStream.of(values).sum();
    }
  }

  public StackedBars {
    if (parts.size() > COLOURS) {
      throw new IllegalArgumentException(
          parts.size() + " parts, but there are " + COLOURS + " colours");
    }
  }

  public Svg draw(String description) {
    double left = bars.stream().mapToDouble(bar -> Svg.width(bar.name())).max().orElseThrow() + GAP;
    double bottom = TOP + (double) HEIGHT * bars.size();
    double most = bars.stream().mapToDouble(Bar::sum).max().orElseThrow();
    Axis axis = Axis.over(0, most, 8, left, RIGHT);
    Svg svg = new Svg(WIDTH, (int) bottom + 44, description);
    svg.text(8, 20, "start", "title", title);
    double x = 8;
    for (int i = 0; i < parts.size(); i++) {
      svg.cell(x, 34, 10, 10, "c" + i, parts.get(i));
      svg.text(x + 14, 43, "start", "label", parts.get(i));
      x += Math.max(LEGEND, 30 + Svg.width(parts.get(i)));
    }
    for (double tick : axis.ticks()) {
      svg.line(axis.coordinate(tick), TOP - 4, axis.coordinate(tick), bottom, "grid");
      svg.text(axis.coordinate(tick), bottom + 18, "middle", "label", axis.label(tick));
    }
    svg.text((left + RIGHT) / 2, bottom + 36, "middle", "label", unit);
    for (int row = 0; row < bars.size(); row++) {
      draw(svg, axis, TOP + (double) HEIGHT * row, bars.get(row));
    }
    return svg;
  }

  private void draw(Svg svg, Axis axis, double top, Bar bar) {
    svg.text(axis.start() - GAP, top + HEIGHT / 2.0 + 2, "end", "label", bar.name());
    double from = 0;
    for (int part = 0; part < parts.size(); part++) {
      double until = from + bar.values()[part];
      svg.cell(
          axis.coordinate(from),
          top,
          axis.coordinate(until) - axis.coordinate(from),
          HEIGHT - 6.0,
          "c" + part,
          Words.of("%s: %.2f %s", parts.get(part), until - from, unit));
      from = until;
    }
  }
}
