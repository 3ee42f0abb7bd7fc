package panamoe.harness.report;

import java.util.List;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import panamoe.io.Words;

/** A table for a terminal and for a page. */
public record Table<R>(List<Column<R>> columns, List<R> rows) {
  /**
   * @param words whether cells are aligned to the left; numbers are aligned to the right
   */
  public record Column<R>(String heading, boolean words, Function<R, String> cell) {
    /** A column of numbers, formatted by {@link String#format}. */
    public static <R> Column<R> of(String heading, String format, Function<R, Object> value) {
      return new Column<>(heading, false, row -> Words.of(format, value.apply(row)));
    }

    public static <R> Column<R> ofWords(String heading, Function<R, String> words) {
      return new Column<>(heading, true, words);
    }

    private String text(String cell, int width) {
      return Words.of((words ? "%-" : "%") + width + "s", cell);
    }
  }

  /** For a terminal: columns as wide as their widest cell. */
  public String text() {
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
                        .mapToObj(i -> gap(i) + columns.get(i).text(line.get(i), widths[i]))
                        .collect(Collectors.joining())
                        .stripTrailing()
                    + System.lineSeparator())
        .collect(Collectors.joining());
  }

  /** Words after numbers have a wider gap. */
  private String gap(int column) {
    return column == 0 ? "" : columns.get(column).words ? "  " : " ";
  }

  /** For a page. */
  public String html() {
    String label =
        "Table: " + String.join(", ", headings().stream().filter(each -> !each.isEmpty()).toList());
    String body =
        cells().stream().map(cells -> row("td", "", cells) + "\n").collect(Collectors.joining());
    String head = row("th", " scope=\"col\"", headings());
    return Html.wide(
            label, "<table>\n<thead>" + head + "</thead>\n<tbody>\n" + body + "</tbody>\n</table>")
        + "\n";
  }

  private String row(String element, String attributes, List<String> cells) {
    return IntStream.range(0, cells.size())
        .mapToObj(
            i ->
                cells.get(i).isEmpty()
                    ? "<td></td>" // a screen reader would read an empty th as a header
                    : Words.of(
                        "<%s%s%s>%s</%1$s>",
                        element,
                        attributes,
                        columns.get(i).words ? " class=\"words\"" : "",
                        Html.escape(cells.get(i))))
        .collect(Collectors.joining("", "<tr>", "</tr>"));
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
