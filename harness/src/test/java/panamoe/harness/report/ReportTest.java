package panamoe.harness.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.StackedBars.Bar;
import panamoe.model.LanguageModel;
import tools.jackson.databind.json.JsonMapper;

/** In a country with a decimal comma: numbers are written alike everywhere. */
class ReportTest {
  private final Locale before = Locale.getDefault();

  @TempDir Path folder;

  @BeforeEach
  void travel() {
    Locale.setDefault(Locale.GERMANY);
  }

  @AfterEach
  void comeHome() {
    Locale.setDefault(before);
  }

  @Test
  void thePageNeedsNothingElseAndIsWellFormed() throws Exception {
    String html = Files.readString(Report.write(SyntheticRun.write(folder)));
    assertTrue(html.startsWith("<!DOCTYPE html>"));
    assertFalse(
        Pattern.compile("https?:|src=|href=|@import|url\\(|import ")
            .matcher(html.replace("'http://www.w3.org/2000/svg'", ""))
            .find(),
        "the page loads something");
    assertTrue(html.contains("prefers-color-scheme: dark"));
    assertFalse(Pattern.compile("\\{\\{[\\w.]+}}").matcher(html).find(), "a placeholder is left");
    parse(folder.resolve("report.html"));
  }

  @Test
  void theNumbersOfTheRunStandInIt() throws Exception {
    SyntheticRun.write(folder);
    Document page = parse(Report.write(folder));
    List<String> tiles = texts(page, "dd");
    assertTrue(tiles.contains("1.625"), "validation bits per byte: " + tiles);
    assertTrue(tiles.contains("76,800"), "tokens: " + tiles);
    assertTrue(tiles.contains("1,000"), "tokens per second: " + tiles);
    try (LanguageModel model = new LanguageModel(SyntheticRun.config().model())) {
      assertTrue(
          tiles.contains(String.format(Locale.ROOT, "%,d", model.parameters().count())),
          "parameters: " + tiles);
    }
    List<String> cells = texts(page, "td");
    int row = cells.indexOf("layer 1");
    int experts = SyntheticRun.config().model().experts().get(1);
    assertEquals(
        List.of("layer 1", "" + experts, "31.0", "47.5", "63.0", "1.25 %", "0.0", "1.234"),
        cells.subList(row, row + 8));
    List<String> sentences = texts(page, "li");
    assertEquals(
        List.of(
            "Layer 1, expert 1: 56 % of its tokens are Greek, 3.7 times that language's share of the text."),
        sentences);
  }

  @Test
  void everyValueIsDrawn() throws Exception {
    SyntheticRun.write(folder);
    Report.write(folder);
    int experts = SyntheticRun.config().model().experts().get(1);
    Document languages = parse(folder.resolve("plots/layer-1-languages.svg"));
    List<String> hints = texts(languages, "title");
    // Greek sends 90 % of its tokens there, and says so in the scale's unit.
    String greek = String.format(Locale.ROOT, "%.2f times the even share", 0.9 * experts);
    assertTrue(hints.contains("language el, expert 1: " + greek), hints::toString);
    assertEquals(
        SyntheticRun.LANGUAGES.size() * experts,
        hints.stream().filter(hint -> hint.startsWith("language")).count());
    Document load = parse(folder.resolve("plots/layer-1-load.svg"));
    assertEquals(
        80 * experts,
        texts(load, "title").stream().filter(hint -> hint.startsWith("expert")).count());
    assertTrue(
        Files.readString(folder.resolve("plots/bits-per-byte.svg"))
            .contains("stroke: #2563eb; stroke: var(--blue);"),
        "a literal colour for programs that know no variables");
    Document bits = parse(folder.resolve("plots/bits-per-byte.svg"));
    Element training = (Element) bits.getElementsByTagName("polyline").item(0);
    assertEquals(SyntheticRun.STEPS, training.getAttribute("points").split(" ").length);
    assertTrue(texts(bits, "title").contains("step 300: 1.6250"));
  }

  /** An expert without tokens is not one with few. */
  @Test
  void deadExpertsHaveAColourOfTheirOwn() throws Exception {
    SyntheticRun.write(folder);
    Report.write(folder);
    NodeList cells = parse(folder.resolve("plots/layer-1-load.svg")).getElementsByTagName("rect");
    Set<String> dead = new TreeSet<>();
    Set<String> alive = new TreeSet<>();
    for (int i = 0; i < cells.getLength(); i++) {
      Element cell = (Element) cells.item(i);
      boolean none = cell.getTextContent().endsWith("no tokens");
      (none ? dead : alive).add(cell.getAttribute("class"));
    }
    assertEquals(Set.of("heat-none"), dead);
    assertTrue(alive.contains("heat-0") && !alive.contains("heat-none"), alive::toString);
    assertTrue(Files.readString(folder.resolve("plots/layer-1-load.svg")).contains(".heat-none {"));
  }

  /** The last label of an axis stands half beside it, and a long one left of it. */
  @ParameterizedTest
  @ValueSource(doubles = {1_500, 100_000, 4_000_000})
  void labelsAreWhole(double last) throws Exception {
    double[] values = {0, last};
    List<Svg> drawings =
        List.of(
            new LineChart("", "step", List.of(new Curve("", values, values, false)), 0, 0).draw(""),
            new HeatMap(
                    "",
                    HeatMap.rows("expert", List.of(0)),
                    HeatMap.Side.counting("step", List.of(0L, 1L), (long) last),
                    new double[1][2])
                .draw(""),
            new StackedBars(
                    "",
                    List.of("a"),
                    List.of(new Bar("4,096 cards, tensor 16, expert 1024", new double[] {last})),
                    "ms")
                .draw(""));
    for (Svg drawing : drawings) {
      Document svg = parse(Files.writeString(folder.resolve("a.svg"), drawing.standalone()));
      NodeList labels = svg.getElementsByTagName("text");
      for (int i = 0; i < labels.getLength(); i++) {
        Element label = (Element) labels.item(i);
        double width = 6.8 * label.getTextContent().length(); // of digits with a comma or two
        double before =
            width
                * switch (label.getAttribute("text-anchor")) {
                  case "start" -> 0;
                  case "middle" -> 0.5;
                  default -> 1;
                };
        double x = Double.parseDouble(label.getAttribute("x"));
        String what = label.getTextContent() + " at " + x;
        assertTrue(x - before >= 0 && x - before + width <= drawing.width(), what);
      }
    }
  }

  @Test
  void textIsEscaped() throws Exception {
    String html = Files.readString(Report.write(SyntheticRun.write(folder)));
    assertFalse(html.contains("<script>"));
    assertTrue(
        html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; so \ufffdweiter"));
  }

  @Test
  void allButStepsMayBeAbsent() throws Exception {
    SyntheticRun.write(folder);
    Files.delete(folder.resolve("routing.json"));
    Files.delete(folder.resolve("samples.json"));
    Files.delete(folder.resolve("history.json"));
    List<String> headings = texts(parse(Report.write(folder)), "h2");
    assertEquals(List.of("Learning", "Experts", "What was trained"), headings);
  }

  @Test
  void samplesOfAnEarlierVersionHaveNoRoutes() throws Exception {
    SyntheticRun.write(folder);
    Files.writeString(
        folder.resolve("samples.json"), "[{\"prompt\": \"It \", \"text\": \"was so\"}]");
    Document page = parse(Report.write(folder));
    assertEquals("Texts", texts(page, "h2").getFirst());
    assertTrue(texts(page, "p").contains("It was so"));
    assertNull(page.getElementById("routes"));
  }

  @Test
  void tokensAreThereForTheScript() throws Exception {
    SyntheticRun.write(folder);
    Document page = parse(Report.write(folder));
    assertEquals("Where tokens go", texts(page, "h2").getFirst());
    Element written = (Element) page.getElementsByTagName("article").item(0);
    assertEquals("0", written.getAttribute("data-text"));
    Element paragraph = (Element) written.getElementsByTagName("p").item(0);
    assertEquals("de", paragraph.getAttribute("lang"));
    NodeList scripts = page.getElementsByTagName("script");
    TokenRoutes[] routes =
        JsonMapper.shared().readValue(scripts.item(0).getTextContent(), TokenRoutes[].class);
    assertEquals(SyntheticRun.WRITTEN, String.join("", routes[0].pieces()));
    assertEquals(1, routes[0].layers().getFirst().layer());
  }

  @Test
  void theTopSaysWhatCameOfItAndTheFootHowToDoItAgain() throws Exception {
    SyntheticRun.write(folder);
    Document page = parse(Report.write(folder));
    String lead = texts(page, "p").getFirst();
    assertTrue(
        lead.startsWith("In 1 minute (A processor, 2 threads), this Residual-MoE model of "), lead);
    assertTrue(
        lead.endsWith(
            " parameters has read 76,800 tokens and needs 1.625 bits for a byte of text that it has not seen."),
        lead);
    assertEquals(
        "panamoe train --out 'a run'\npanamoe train --resume", texts(page, "pre").getLast());
    List<String> facts = texts(page, "dd");
    assertTrue(facts.contains("2026-01-02T03:04:05Z"), facts.toString());
    assertTrue(facts.contains("some <text>"), facts.toString());
    assertTrue(facts.contains("A processor, 2 threads, cpu"), facts.toString());
    assertTrue(facts.contains("1.0, commit abc"), facts.toString());
  }

  /** Of a model of bytes the loss is the same curve; a steep beginning would hide the rest. */
  @Test
  void curvesShowWhatIsLearnt() throws Exception {
    SyntheticRun.write(folder);
    String html = Files.readString(Report.write(folder));
    String note = "The first steps are above the scale.";
    assertFalse(html.contains(note));
    assertFalse(Files.exists(folder.resolve("plots/loss.svg")));
    Path metrics = folder.resolve("metrics.jsonl");
    List<String> lines = new ArrayList<>(Files.readAllLines(metrics));
    lines
        .subList(0, 5)
        .replaceAll(line -> line.replaceAll("\"bits_per_byte\":[\\d.]+", "\"bits_per_byte\":40"));
    Files.write(metrics, lines);
    html = Files.readString(Report.write(folder));
    assertTrue(html.contains("lower is better. " + note));
    assertTrue(Files.exists(folder.resolve("plots/loss.svg")));
    Files.write(metrics, lines.subList(0, 2));
    html = Files.readString(Report.write(folder));
    assertFalse(html.contains(note), "two points are drawn whole");
    assertFalse(html.contains(">0.5</text>"), "half a step");
  }

  @Test
  void aBrokenLineIsNamedAndNoPageIsLeft() throws Exception {
    SyntheticRun.write(folder);
    Path metrics = folder.resolve("metrics.jsonl");
    List<String> lines = Files.readAllLines(metrics);
    Files.write(metrics, Stream.concat(lines.stream().limit(9), Stream.of("{\"step\": ")).toList());
    String message =
        assertThrows(IllegalArgumentException.class, () -> Report.write(folder)).getMessage();
    assertTrue(message.startsWith(metrics + ", line 10: "), message);
    Files.write(
        metrics,
        (lines.getFirst().replace("loss", "lo\u00ffss") + "\n")
            .getBytes(StandardCharsets.ISO_8859_1));
    message = assertThrows(IllegalArgumentException.class, () -> Report.write(folder)).getMessage();
    assertEquals(metrics + ", line 1: it is not UTF-8", message);
    Files.writeString(metrics, "");
    message = assertThrows(IllegalArgumentException.class, () -> Report.write(folder)).getMessage();
    assertEquals(metrics + " is empty: no step was trained", message);
    assertFalse(Files.exists(folder.resolve("report.html")));
  }

  @Test
  void aSampleWithoutAPromptIsRefusedByItsFile() throws Exception {
    SyntheticRun.write(folder);
    Path samples = Files.writeString(folder.resolve("samples.json"), "[{\"text\": \"a\"}]");
    String message =
        assertThrows(IllegalArgumentException.class, () -> Report.write(folder)).getMessage();
    assertTrue(message.startsWith(samples + ": "), message);
    assertTrue(message.contains("a shown text needs a prompt and a text"), message);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"samples.json", "reading.json", "routing.json", "history.json", "metrics.jsonl"})
  void aFileThatIsSomethingElseIsNamed(String name) throws Exception {
    SyntheticRun.write(folder);
    Path file = folder.resolve(name);
    for (String content : List.of("null", "[null]", "1", "\"\"", "{}", "Once upon a time")) {
      Files.writeString(file, content);
      String message =
          assertThrows(IllegalArgumentException.class, () -> Report.write(folder), content)
              .getMessage();
      assertTrue(message.startsWith(file.toString()), content + ": " + message);
      assertFalse(message.contains("java."), content + ": " + message);
    }
  }

  private static Document parse(Path file) throws Exception {
    return DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(file.toFile());
  }

  private static List<String> texts(Document document, String element) {
    NodeList nodes = document.getElementsByTagName(element);
    return IntStream.range(0, nodes.getLength())
        .mapToObj(i -> nodes.item(i).getTextContent())
        .toList();
  }
}
