package panamoe.harness.report;

import java.util.List;
import java.util.Locale;
import panamoe.harness.report.Svg.Anchor;

/**
 * A grid of coloured cells.
 *
 * @param rows labels from the top down
 * @param columns labels from left to right
 * @param values {@code [row][column]}, from 0
 * @param brightest the value of the brightest colour, which larger values have too
 * @param unit of the values, such as {@code "% of its tokens"}
 */
record HeatMap(
    String title,
    String rowTitle,
    List<?> rows,
    String columnTitle,
    List<?> columns,
    double[][] values,
    double brightest,
    String unit) {

  private static final int WIDTH = 820;
  private static final int LEFT = 72;
  private static final int RIGHT = WIDTH - 84;
  private static final int TOP = 36;
  private static final int MOST_LABELS = 20;
  private static final int BAR_STEPS = 40;
  // Viridis: perceptually even, and readable for the colour-blind.
  private static final int[] COLOURS = {
    0x440154, 0x472d7b, 0x3b528b, 0x2c728e, 0x21918c, 0x28ae80, 0x5ec962, 0xaddc30, 0xfde725
  };

  Svg draw(String description) {
    double rowHeight = Math.clamp(640.0 / rows.size(), 6, 22);
    double bottom = TOP + rowHeight * rows.size();
    Svg svg = new Svg(WIDTH, (int) bottom + 44, description);
    svg.text(LEFT, 20, Anchor.START, "title", title);
    drawCells(svg, rowHeight);
    int rowsPerLabel = (int) Math.ceil(12 / rowHeight);
    for (int row = 0; row < rows.size(); row += rowsPerLabel) {
      svg.text(
          LEFT - 8,
          TOP + (row + 0.5) * rowHeight + 4,
          Anchor.END,
          "label",
          rows.get(row).toString());
    }
    int columnsPerLabel = (columns.size() + MOST_LABELS - 1) / MOST_LABELS;
    for (int column = 0; column < columns.size(); column += columnsPerLabel) {
      double middle = LEFT + (column + 0.5) * columnWidth();
      svg.text(middle, bottom + 18, Anchor.MIDDLE, "label", columns.get(column).toString());
    }
    svg.text((LEFT + RIGHT) / 2.0, bottom + 36, Anchor.MIDDLE, "label", columnTitle);
    svg.text(8, 20, Anchor.START, "label", rowTitle);
    drawBar(svg, bottom);
    return svg;
  }

  private void drawCells(Svg svg, double rowHeight) {
    for (int row = 0; row < rows.size(); row++) {
      for (int column = 0; column < columns.size(); column++) {
        double value = values[row][column];
        String hint =
            String.format(
                Locale.ROOT,
                "%s %s, %s %s: %.2f %s",
                rowTitle,
                rows.get(row),
                columnTitle,
                columns.get(column),
                value,
                unit);
        // A slight overlap hides the seams between cells.
        svg.cell(
            LEFT + column * columnWidth(),
            TOP + row * rowHeight,
            columnWidth() + 0.3,
            rowHeight + 0.3,
            colour(value / brightest),
            hint);
      }
    }
  }

  private void drawBar(Svg svg, double bottom) {
    double step = (bottom - TOP) / BAR_STEPS;
    for (int i = 0; i < BAR_STEPS; i++) {
      double share = (i + 0.5) / BAR_STEPS;
      svg.cell(
          RIGHT + 20,
          bottom - (i + 1) * step,
          12,
          step + 0.3,
          colour(share),
          String.format(Locale.ROOT, "%.2f %s", share * brightest, unit));
    }
    Axis axis = Axis.over(0, brightest, 4, bottom, TOP);
    for (double tick : axis.ticks()) {
      if (tick <= brightest) {
        double y = bottom - (bottom - TOP) * tick / brightest;
        svg.text(RIGHT + 38, y + 4, Anchor.START, "label", axis.label(tick));
      }
    }
  }

  private double columnWidth() {
    return (double) (RIGHT - LEFT) / columns.size();
  }

  /** The colour of {@code share} in 0..1, interpolated in the table. */
  static String colour(double share) {
    double place = Math.clamp(share, 0, 1) * (COLOURS.length - 1);
    int below = Math.min((int) place, COLOURS.length - 2);
    int mixed = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
      int from = COLOURS[below] >> shift & 0xff;
      int to = COLOURS[below + 1] >> shift & 0xff;
      mixed = mixed << 8 | (int) Math.round(from + (to - from) * (place - below));
    }
    return String.format(Locale.ROOT, "#%06x", mixed);
  }
}
