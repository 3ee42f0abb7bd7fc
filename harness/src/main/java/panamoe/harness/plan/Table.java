package panamoe.harness.plan;

import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import panamoe.harness.report.Html;

/** Rows under headings, for a terminal and for a page. */
record Table<R>(List<Column<R>> columns, List<R> rows) {
  /**
   * @param left whether cells begin in one line; numbers end in one
   */
  record Column<R>(String heading, boolean left, Function<R, String> cell) {
    /** Of numbers, by {@link String#format}. */
    static <R> Column<R> of(String heading, String format, Function<R, Object> value) {
      return new Column<>(
          heading, false, row -> String.format(Locale.ROOT, format, value.apply(row)));
    }

    static <R> Column<R> ofWords(String heading, Function<R, String> words) {
      return new Column<>(heading, true, words);
    }

    private String text(String cell, int width) {
      String format = left ? " %-" + width + "s" : "%" + width + "s";
      return String.format(Locale.ROOT, format, cell);
    }
  }

  /** Columns as wide as they need to be. */
  String text() {
    List<List<String>> lines = cells();
    lines.addFirst(headings());
    int[] widths =
        IntStream.range(0, columns.size())
            .map(i -> lines.stream().mapToInt(line -> line.get(i).length()).max().orElseThrow())
            .map(width -> Math.max(1, width))
            .toArray();
    return lines.stream()
        .map(
            line ->
                IntStream.range(0, widths.length)
                        .mapToObj(i -> columns.get(i).text(line.get(i), widths[i]))
                        .collect(Collectors.joining(" "))
                        .stripTrailing()
                    + System.lineSeparator())
        .collect(Collectors.joining());
  }

  String html() {
    return Html.table(headings(), cells());
  }

  private List<String> headings() {
    return columns.stream().map(Column::heading).toList();
  }

  private List<List<String>> cells() {
    return rows.stream()
        .map(row -> columns.stream().map(column -> column.cell.apply(row)).toList())
        .collect(Collectors.toList());
  }
}
