package panamoe.harness.report;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import panamoe.io.Words;

/**
 * A grid of coloured cells: neutral at the even share, orange above it, blue below, and the text's
 * colour for nothing.
 *
 * @param rows from the top down
 * @param columns from left to right
 * @param values {@code [row][column]}, from 0, over the even share
 */
record HeatMap(String title, Side rows, Side columns, double[][] values) {
  private static final int WIDTH = 420;
  private static final int MARGIN = 14; // on the right; more where the last label needs it
  private static final int GAP = 6; // from a label to the cells
  private static final int TOP = 68;
  private static final int HEIGHT = 176;
  private static final double LEAST_ROW = 2;
  private static final double MOST_ROW = 24;
  private static final double LABEL_HEIGHT = 12;
  private static final int COLUMN_LABELS = 8;

  /** Colours from a quarter of the even share to four times that. */
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

    /** A label for each name, or for as many as there is room for. */
    private static Side named(String title, List<?> names, int room) {
      int stride = (int) Math.max(1, Axis.counting(0, names.size(), room, 0, 1).tick());
      List<Tick> ticks =
          IntStream.range(0, names.size())
              .filter(i -> names.size() <= room || i % stride == 0)
              .mapToObj(i -> new Tick((i + 0.5) / names.size(), names.get(i).toString()))
              .toList();
      return new Side(title, names, ticks);
    }

    static Side columns(String title, List<?> names) {
      return named(title, names, COLUMN_LABELS);
    }

    static Side rows(String title, List<?> names) {
      return named(title, names, (int) (names.size() * rowHeight(names.size()) / LABEL_HEIGHT));
    }

    /** Groups of numbers up to {@code last}, labelled at round numbers. */
    static Side counting(String title, List<Long> firsts, long last) {
      Axis axis = Axis.counting(0, last, 5, 0, 1);
      List<Tick> ticks =
          axis.ticks().stream()
              .filter(tick -> tick > 0)
              .map(tick -> new Tick(tick / last, axis.label(tick)))
              .toList();
      return new Side(title, firsts, ticks);
    }

    private String data() {
      return title + " " + names.stream().map(Object::toString).collect(Collectors.joining(" "));
    }
  }

  private static double rowHeight(int rows) {
    return Math.clamp((double) HEIGHT / rows, LEAST_ROW, MOST_ROW);
  }

  Svg draw(String description) {
    double height = rowHeight(values.length) * values.length;
    double bottom = TOP + height;
    double left = GAP + Math.max(40, widest(rows));
    double right = WIDTH - Math.max(MARGIN, widest(columns) / 2);
    Svg svg = new Svg(WIDTH, (int) Math.ceil(bottom) + 42, description);
    svg.data("window", Words.of("%.1f %.1f %d %.1f", left, right, TOP, bottom));
    svg.data("rows", rows.data());
    svg.data("columns", columns.data());
    svg.data(
        "shares",
        Arrays.stream(values)
            .flatMapToDouble(Arrays::stream)
            .mapToObj(value -> Long.toString(Math.round(100 * value)))
            .collect(Collectors.joining(" ")));
    svg.text(8, 18, "start", "title", title);
    drawScale(svg, right);
    String[][] styles =
        Arrays.stream(values)
            .map(row -> Arrays.stream(row).mapToObj(HeatMap::style).toArray(String[]::new))
            .toArray(String[][]::new);
    svg.grid(left, TOP, right - left, height, styles);
    for (Side.Tick tick : rows.ticks()) {
      svg.text(left - GAP, TOP + tick.at() * height + 4, "end", "label", tick.label());
    }
    for (Side.Tick tick : columns.ticks()) {
      double x = left + tick.at() * (right - left);
      svg.text(x, bottom + 16, "middle", "label", tick.label());
    }
    svg.text((left + right) / 2, bottom + 34, "middle", "label", columns.title());
    svg.text(8, TOP - 8, "start", "label", rows.title());
    return svg;
  }

  private static double widest(Side side) {
    return side.ticks().stream().mapToDouble(tick -> Svg.width(tick.label())).max().orElse(0);
  }

  private void drawScale(Svg svg, double right) {
    double width = 20;
    double left = right - width * COLOURS;
    double nothing = left - 1.5 * width;
    svg.grid(nothing, 32, width, 9, new String[][] {{"heat-none"}});
    svg.text(nothing + width / 2, 56, "middle", "label", "0");
    String[] colours =
        IntStream.range(0, COLOURS).mapToObj(i -> "heat-" + i).toArray(String[]::new);
    svg.grid(left, 32, width * COLOURS, 9, new String[][] {colours});
    for (int i = 0; i < SCALE.size(); i++) {
      double x = left + width * (0.5 + i * (COLOURS - 1.0) / (SCALE.size() - 1));
      svg.text(x, 56, "middle", "label", SCALE.get(i));
    }
    svg.text(nothing - 8, 41, "end", "label", "× even share");
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
