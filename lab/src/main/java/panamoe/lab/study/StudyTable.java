package panamoe.lab.study;

import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;

/** A Markdown table with words in the first column and numbers in the others. */
record StudyTable(List<String> head, List<List<String>> rows) {
  String markdown() {
    String rule = "|---|" + String.join("", Collections.nCopies(head.size() - 1, "--:|"));
    return row(head)
        + rule
        + "\n"
        + rows.stream().map(StudyTable::row).collect(Collectors.joining());
  }

  private static String row(List<String> cells) {
    return "| " + String.join(" | ", cells) + " |\n";
  }
}
