package panamoe.harness.report;

import java.util.List;
import java.util.stream.DoubleStream;
import panamoe.harness.report.Svg.Anchor;
import panamoe.io.Words;

/**
 * Horizontal bars of parts that add up, with a legend.
 *
 * @param parts their names, at most as many as there are colours
 * @param unit of the values, such as {@code ms}
 */
public record StackedBars(String title, List<String> parts, List<Bar> bars, String unit) {
  private static final int WIDTH = 820;
  private static final int RIGHT = WIDTH - 30; // half of the last label is beside it
  private static final int TOP = 64;
  private static final int HEIGHT = 24;
  private static final int LEGEND = 98; // from one part to the next, if its name has room
  private static final int GAP = 8; // from a bar's name to the bar
  // Okabe and Ito's: apart for the colour-blind, on light and on dark.
  private static final List<String> COLOURS =
      List.of(
          "#999999", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7");

  /**
   * @param values of each part, from 0
   */
  public record Bar(String name, double[] values) {
    double sum() {
      return DoubleStream.of(values).sum();
    }
  }

  public StackedBars {
    if (parts.size() > COLOURS.size()) {
      throw new IllegalArgumentException(
          parts.size() + " parts, but there are " + COLOURS.size() + " colours");
    }
  }

  public Svg draw(String description) {
    double left = bars.stream().mapToDouble(bar -> Svg.width(bar.name())).max().orElseThrow() + GAP;
    double bottom = TOP + (double) HEIGHT * bars.size();
    double most = bars.stream().mapToDouble(Bar::sum).max().orElseThrow();
    Axis axis = Axis.over(0, most, 8, left, RIGHT);
    Svg svg = new Svg(WIDTH, (int) bottom + 44, description);
    svg.text(8, 20, Anchor.START, "title", title);
    double x = 8;
    for (int i = 0; i < parts.size(); i++) {
      svg.cell(x, 34, 10, 10, COLOURS.get(i), parts.get(i));
      svg.text(x + 14, 43, Anchor.START, "label", parts.get(i));
      x += Math.max(LEGEND, 30 + Svg.width(parts.get(i)));
    }
    for (double tick : axis.ticks()) {
      svg.line(axis.place(tick), TOP - 4, axis.place(tick), bottom, "grid");
      svg.text(axis.place(tick), bottom + 18, Anchor.MIDDLE, "label", axis.label(tick));
    }
    svg.text((left + RIGHT) / 2, bottom + 36, Anchor.MIDDLE, "label", unit);
    for (int row = 0; row < bars.size(); row++) {
      draw(svg, axis, TOP + (double) HEIGHT * row, bars.get(row));
    }
    return svg;
  }

  private void draw(Svg svg, Axis axis, double top, Bar bar) {
    svg.text(axis.start() - GAP, top + HEIGHT / 2.0 + 2, Anchor.END, "label", bar.name());
    double from = 0;
    for (int part = 0; part < parts.size(); part++) {
      double until = from + bar.values()[part];
      svg.cell(
          axis.place(from),
          top,
          axis.place(until) - axis.place(from),
          HEIGHT - 6.0,
          COLOURS.get(part),
          Words.of("%s: %.2f %s", parts.get(part), until - from, unit));
      from = until;
    }
  }
}
