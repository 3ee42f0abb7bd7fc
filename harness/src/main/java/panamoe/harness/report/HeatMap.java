package panamoe.harness.report;

import java.util.List;
import java.util.stream.IntStream;
import panamoe.harness.report.Svg.Anchor;
import panamoe.io.Words;

/**
 * A grid of coloured cells: neutral at the even share, one colour above it, another below, and one
 * of its own for nothing.
 *
 * @param rows from the top down
 * @param columns from left to right
 * @param values {@code [row][column]}, from 0, over the even share
 */
record HeatMap(String title, Side rows, Side columns, double[][] values) {
  private static final int WIDTH = 420;
  private static final int LEFT = 58;
  private static final int MARGIN = 14; // on the right; more where the last label needs it
  private static final int TOP = 68;
  private static final int HEIGHT = 176;
  private static final double LEAST_ROW = 7;
  private static final double MOST_ROW = 24;
  private static final double LABEL_HEIGHT = 12;
  private static final int COLUMN_LABELS = 8;
  private static final List<Integer> STRIDES = List.of(1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100);

  /** Styles of the drawing, from a quarter of the even share to four times that. */
  private static final int COLOURS = 9;

  private static final double DOUBLINGS = 2;
  private static final List<String> SCALE = List.of("¼", "½", "1", "2", "4");

  /**
   * What rows or columns stand for.
   *
   * @param title such as {@code expert}
   * @param names of each
   * @param ticks labels, and the part of the side's length before each
   */
  record Side(String title, List<?> names, List<Tick> ticks) {
    record Tick(double at, String label) {}

    /** Of things that have names, of which as many are labelled as there is room for. */
    static Side of(String title, List<?> names, int labels) {
      int stride =
          STRIDES.stream()
              .filter(each -> names.size() <= each * labels)
              .findFirst()
              .orElse((names.size() + labels - 1) / labels);
      List<Tick> ticks =
          IntStream.range(0, names.size())
              .filter(i -> i % stride == 0)
              .mapToObj(i -> new Tick((i + 0.5) / names.size(), names.get(i).toString()))
              .toList();
      return new Side(title, names, ticks);
    }

    /** Of groups of numbers up to {@code last}, labelled at round numbers. */
    static Side counting(String title, List<Long> firsts, long last) {
      Axis axis = Axis.counting(0, last, 5, 0, 1);
      List<Tick> ticks =
          axis.ticks().stream()
              .filter(tick -> tick > 0 && tick <= last)
              .map(tick -> new Tick(tick / last, axis.label(tick)))
              .toList();
      return new Side(title, firsts, ticks);
    }
  }

  /** The most labels of columns. */
  static Side columns(String title, List<?> names) {
    return Side.of(title, names, COLUMN_LABELS);
  }

  /** Rows of a height that leaves room for their labels. */
  static Side rows(String title, List<?> names) {
    return Side.of(title, names, (int) (names.size() * rowHeight(names.size()) / LABEL_HEIGHT));
  }

  private static double rowHeight(int rows) {
    return Math.clamp((double) HEIGHT / rows, LEAST_ROW, MOST_ROW);
  }

  Svg draw(String description) {
    double height = rowHeight(rows.names().size()) * rows.names().size();
    double bottom = TOP + height;
    double right = right();
    Svg svg = new Svg(WIDTH, (int) Math.ceil(bottom) + 42, description);
    svg.text(8, 18, Anchor.START, "title", title);
    drawScale(svg);
    drawCells(svg, right - LEFT, height);
    for (Side.Tick tick : rows.ticks()) {
      svg.text(LEFT - 6, TOP + tick.at() * height + 4, Anchor.END, "label", tick.label());
    }
    for (Side.Tick tick : columns.ticks()) {
      double x = LEFT + tick.at() * (right - LEFT);
      svg.text(x, bottom + 16, Anchor.MIDDLE, "label", tick.label());
    }
    svg.text((LEFT + right) / 2, bottom + 34, Anchor.MIDDLE, "label", columns.title());
    svg.text(8, TOP - 8, Anchor.START, "label", rows.title());
    return svg;
  }

  /** Where the cells end: half of the last label may be beside them. */
  private double right() {
    String last = columns.ticks().isEmpty() ? "" : columns.ticks().getLast().label();
    return WIDTH - Math.max(MARGIN, Svg.width(last) / 2);
  }

  private void drawCells(Svg svg, double width, double height) {
    double rowHeight = height / rows.names().size();
    double columnWidth = width / columns.names().size();
    for (int row = 0; row < rows.names().size(); row++) {
      for (int column = 0; column < columns.names().size(); column++) {
        double value = values[row][column];
        String hint =
            Words.of(
                "%s %s, %s %s: %s",
                rows.title(),
                rows.names().get(row),
                columns.title(),
                columns.names().get(column),
                inWords(value));
        // A slight overlap hides the seams between cells.
        svg.styledCell(
            LEFT + column * columnWidth,
            TOP + row * rowHeight,
            columnWidth + 0.3,
            rowHeight + 0.3,
            style(value),
            hint);
      }
    }
  }

  private void drawScale(Svg svg) {
    double width = 20;
    double left = right() - width * COLOURS;
    double nothing = left - 1.5 * width;
    svg.styledCell(nothing, 32, width, 9, style(0), inWords(0));
    svg.text(nothing + width / 2, 56, Anchor.MIDDLE, "label", "0");
    for (int i = 0; i < COLOURS; i++) {
      double times = Math.pow(2, DOUBLINGS * (2.0 * i / (COLOURS - 1) - 1));
      svg.styledCell(left + i * width, 32, width + 0.3, 9, "heat-" + i, inWords(times));
    }
    for (int i = 0; i < SCALE.size(); i++) {
      double x = left + width * (0.5 + i * (COLOURS - 1.0) / (SCALE.size() - 1));
      svg.text(x, 56, Anchor.MIDDLE, "label", SCALE.get(i));
    }
    svg.text(nothing - 8, 41, Anchor.END, "label", "times the even share");
  }

  private static String inWords(double value) {
    return value == 0 ? "no tokens" : Words.of("%.2f times the even share", value);
  }

  private static String style(double value) {
    if (value == 0) {
      return "heat-none";
    }
    double doublings = Math.log(value) / Math.log(2);
    double part = (Math.clamp(doublings, -DOUBLINGS, DOUBLINGS) / DOUBLINGS + 1) / 2;
    return "heat-" + Math.round(part * (COLOURS - 1));
  }
}
