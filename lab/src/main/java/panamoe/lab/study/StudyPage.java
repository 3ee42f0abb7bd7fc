package panamoe.lab.study;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import panamoe.harness.report.LineChart;
import panamoe.io.SafeFolder;

/** Writes {@code study.md} and a figure for each part. */
final class StudyPage {
  static final String FILE = "study.md";
  static final String FIGURES = "study";

  private static final int COLUMNS = 118;

  private StudyPage() {}

  /**
   * @param folder for the page and its folder of figures
   * @param introduction describes the runs and their data
   * @return the page's path
   */
  static Path write(Path folder, String introduction, Map<StudyPart, Finding> findings)
      throws IOException {
    SafeFolder files = new SafeFolder(folder);
    files.make();
    files.makeFolder(FIGURES);
    for (Map.Entry<StudyPart, Finding> each : findings.entrySet()) {
      LineChart figure = each.getValue().figure();
      String svg = figure.draw(describe(figure)).standalone();
      files.replace(figureOf(each.getKey()), svg.getBytes(StandardCharsets.UTF_8));
    }
    return files.replace(FILE, text(introduction, findings).getBytes(StandardCharsets.UTF_8));
  }

  static String text(String introduction, Map<StudyPart, Finding> findings) {
    StudyTable verdicts =
        new StudyTable(
            List.of("claim", "the paper", "here", "verdict", "command"),
            findings.entrySet().stream()
                .map(
                    each ->
                        List.of(
                            each.getKey().claim().name() + ": " + each.getKey().claim().title(),
                            each.getKey().claim().paper(),
                            each.getValue().ours(),
                            each.getValue().verdict().toString(),
                            "`ci/study " + each.getKey().claim().name() + "`"))
                .toList());
    return "# What holds of DeepSpeed-MoE at a small size\n\n"
        + wrapped(introduction)
        + "\n"
        + verdicts.markdown()
        + lead(findings)
        + findings.entrySet().stream()
            .map(each -> section(each.getKey(), each.getValue()))
            .collect(Collectors.joining());
  }

  /** The figure before all others: the losses by parameters, if that part was run. */
  private static String lead(Map<StudyPart, Finding> findings) {
    return findings.keySet().stream()
        .filter(part -> part.claim() == Claim.S4)
        .map(part -> "\n" + image(part, findings.get(part)))
        .collect(Collectors.joining());
  }

  private static String image(StudyPart part, Finding finding) {
    return "![" + describe(finding.figure()) + "](" + figureOf(part) + ")\n";
  }

  private static String section(StudyPart part, Finding finding) {
    return "\n## "
        + part.claim().name()
        + ": "
        + part.claim().title()
        + "\n\n"
        + wrapped("The paper: " + part.claim().words())
        + "\n"
        + wrapped("Holds if: " + part.claim().rule())
        + "\n"
        + finding.table().markdown()
        + "\n"
        + (part.claim() == Claim.S4 ? "" : image(part, finding) + "\n")
        + wrapped(sentence(finding));
  }

  /** The verdict with its numbers. */
  static String sentence(Finding finding) {
    String verdict = finding.verdict().toString();
    return "It " + verdict + ": " + finding.numbers();
  }

  private static String describe(LineChart figure) {
    return figure.title() + " by " + figure.xTitle();
  }

  private static String figureOf(StudyPart part) {
    return FIGURES + "/" + part.claim().name() + ".svg";
  }

  private static String wrapped(String paragraph) {
    StringBuilder lines = new StringBuilder();
    int column = 0;
    for (String word : paragraph.split(" (?!%)")) {
      if (column > 0 && column + 1 + word.length() > COLUMNS) {
        lines.append('\n');
        column = 0;
      }
      lines.append(column > 0 ? " " : "").append(word);
      column += word.length() + (column > 0 ? 1 : 0);
    }
    return lines.append('\n').toString();
  }
}
