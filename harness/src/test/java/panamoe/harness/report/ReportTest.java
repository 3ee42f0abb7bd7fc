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
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import panamoe.config.ModelConfig;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.LineChart.Form;
import panamoe.harness.report.StackedBars.Bar;
import panamoe.model.LanguageModel;
import tools.jackson.databind.json.JsonMapper;

/**
 * Tests {@link Report} and the drawings, in a locale with a decimal comma, which must not matter.
 */
class ReportTest {
  private final Locale before = Locale.getDefault();

  @TempDir Path folder;

  @BeforeEach
  void useAnotherLocale() {
    Locale.setDefault(Locale.GERMANY);
  }

  @AfterEach
  void restoreLocale() {
    Locale.setDefault(before);
  }

  @Test
  void thePageNeedsNothingElseAndIsWellFormed() throws Exception {
    String html = Files.readString(Report.write(SyntheticRun.write(folder)));
    assertTrue(html.startsWith("<!DOCTYPE html>"));
    assertFalse(
        Pattern.compile("https?:|src=|href=\"[^#]|@import|url\\(|import ")
            .matcher(html.replace("'http://www.w3.org/2000/svg'", ""))
            .find(),
        "the page loads something");
    assertTrue(html.contains("color-scheme: light dark;"));
    assertFalse(Pattern.compile("\\{\\{[\\w.]+}}").matcher(html).find(), "a placeholder is left");
    parse(folder.resolve("report.html"));
  }

  @Test
  void theNumbersOfTheRunStandInIt() throws Exception {
    SyntheticRun.write(folder);
    Document page = parse(Report.write(folder));
    List<String> tiles = texts(page, "dd");
    assertTrue(tiles.contains("1.625"), "validation bits per byte: " + tiles);
    assertTrue(tiles.contains("76.8k"), "tokens: " + tiles);
    assertTrue(tiles.contains("1,000"), "tokens per second: " + tiles);
    try (LanguageModel model = new LanguageModel(SyntheticRun.config().model())) {
      assertTrue(
          tiles.contains(ShortNumber.of(model.parameters().count())), "parameters: " + tiles);
    }
    List<String> cells = texts(page, "td");
    int row = cells.indexOf("layer 1");
    int experts = SyntheticRun.config().model().experts().get(1);
    assertEquals(List.of("layer 1", "" + experts), cells.subList(row, row + 2));
    assertEquals(List.of("1.25 %", "0.0", "1.234"), cells.subList(row + 4, row + 7));
  }

  @Test
  void everyValueIsDrawn() throws Exception {
    SyntheticRun.write(folder);
    Report.write(folder);
    int experts = SyntheticRun.config().model().experts().get(1);
    Element languages =
        parse(folder.resolve("plots/experts-by-language-layer-1.svg")).getDocumentElement();
    List<String> shares = List.of(languages.getAttribute("data-shares").split(" "));
    assertEquals(SyntheticRun.LANGUAGES.size() * experts, shares.size());
    assertEquals("language da de el en fr sv", languages.getAttribute("data-rows"));
    // Greek is the third language, and sends 90 % of its tokens to expert 1.
    assertEquals("" + 90 * experts, shares.get(2 * experts + 1));
    Element load = parse(folder.resolve("plots/expert-load-layer-1.svg")).getDocumentElement();
    assertEquals(80 * experts, load.getAttribute("data-shares").split(" ").length);
    Document bits = parse(folder.resolve("plots/bits-per-byte.svg"));
    Element raw = (Element) bits.getElementsByTagName("polyline").item(0);
    Element training = (Element) bits.getElementsByTagName("polyline").item(1);
    assertEquals("c0 raw", raw.getAttribute("class"));
    assertEquals(SyntheticRun.STEPS, raw.getAttribute("points").split(" ").length);
    assertEquals(2 * SyntheticRun.STEPS, training.getAttribute("data-values").split(" ").length);
    assertTrue(
        roughness(training) < roughness(raw) / 3, roughness(training) + " of " + roughness(raw));
    Element validation = (Element) bits.getElementsByTagName("polyline").item(2);
    assertTrue(validation.getAttribute("data-values").endsWith(" 300 1.6250e+00"));
    assertEquals(6, bits.getElementsByTagName("circle").getLength());
  }

  @Test
  void theFirstStepIsAPoint() throws Exception {
    SyntheticRun.write(folder);
    Path metrics = folder.resolve("metrics.jsonl");
    Files.write(metrics, Files.readAllLines(metrics).subList(0, 1));
    Report.write(folder);
    Document loss = parse(folder.resolve("plots/gradient-norm.svg"));
    assertEquals(1, loss.getElementsByTagName("circle").getLength());
  }

  /** The length of a curve's way up and down, in the drawing's units. */
  private static double roughness(Element curve) {
    double[] y =
        Stream.of(curve.getAttribute("points").split(" "))
            .mapToDouble(point -> Double.parseDouble(point.split(",")[1]))
            .toArray();
    return IntStream.range(1, y.length).mapToDouble(i -> Math.abs(y[i] - y[i - 1])).sum();
  }

  /** Not every program that shows SVG knows variables and light-dark(). */
  @Test
  void aDrawingHasLiteralColours() {
    String svg = new Svg(1, 1, "").standalone();
    assertTrue(svg.contains(".c0 { color: #0072b2; color: var(--c0); }"), svg);
    assertFalse(svg.contains("null"), svg);
  }

  /** An expert without tokens is not one with few. */
  @Test
  void deadExpertsHaveAColourOfTheirOwn() throws Exception {
    SyntheticRun.write(folder);
    Report.write(folder);
    Document load = parse(folder.resolve("plots/expert-load-layer-1.svg"));
    String shares = load.getDocumentElement().getAttribute("data-shares");
    assertTrue((" " + shares + " ").contains(" 0 "));
    Map<String, Integer> cells = new TreeMap<>();
    NodeList paths = load.getElementsByTagName("path");
    for (int i = 0; i < paths.getLength(); i++) {
      Element path = (Element) paths.item(i);
      Pattern.compile("h(\\d+)")
          .matcher(path.getAttribute("d"))
          .results()
          .forEach(
              run ->
                  cells.merge(
                      path.getAttribute("class"), Integer.valueOf(run.group(1)), Integer::sum));
    }
    int scale = 1; // each colour is in the scale too
    long dead = Stream.of(shares.split(" ")).filter("0"::equals).count();
    assertEquals(dead + scale, cells.get("heat-none").longValue());
    assertEquals(
        shares.split(" ").length + 10 * scale,
        cells.values().stream().mapToInt(Integer::intValue).sum());
  }

  /** One layer's maps are shown at a time, wherever on the page the layer is chosen. */
  @Test
  void mapsBelongToALayer() throws Exception {
    ModelConfig model = SyntheticRun.config().model();
    List<String> layers =
        IntStream.range(0, model.layers())
            .filter(layer -> model.experts().get(layer) > 0)
            .mapToObj(Integer::toString)
            .toList();
    Document page = parse(Report.write(SyntheticRun.write(folder)));
    List<Element> choices =
        elements(page, "select").stream()
            .filter(select -> select.getAttribute("class").equals("layer"))
            .toList();
    assertEquals(2, choices.size());
    for (Element choice : choices) {
      assertEquals(
          layers,
          elements(choice, "option").stream().map(each -> each.getAttribute("value")).toList());
    }
    List<String> maps =
        elements(page, "figure").stream()
            .map(figure -> figure.getAttribute("data-layer"))
            .filter(layer -> !layer.isEmpty())
            .toList();
    assertEquals(Stream.concat(layers.stream(), layers.stream()).toList(), maps);
  }

  @Test
  void balanceIsDrawn() throws Exception {
    Document page = parse(Report.write(SyntheticRun.write(folder)));
    List<String> titles = texts(page, "text");
    for (String title :
        List.of(
            "Gradient norm",
            "Auxiliary (load balancing) loss",
            "Router entropy ÷ ln(experts)",
            "Dropped routes and dead experts, %")) {
      assertTrue(titles.contains(title), title);
    }
    // Lines of earlier versions may lack both, and a run without capacity drops nothing.
    Path metrics = folder.resolve("metrics.jsonl");
    List<String> lines = new ArrayList<>(Files.readAllLines(metrics));
    lines.replaceAll(
        line ->
            line.replaceAll("\"(aux_loss|grad_norm)\":[\\d.]+,", "")
                .replaceAll("\"drop_rate\":[\\d.]+", "\"drop_rate\":0")
                .replaceAll("([\\[,])0(?=[,\\]])", "$11"));
    Files.write(metrics, lines);
    titles = texts(parse(Report.write(folder)), "text");
    assertFalse(titles.contains("Gradient norm"));
    assertFalse(titles.contains("Auxiliary (load balancing) loss"));
    assertFalse(titles.contains("Dropped routes and dead experts, %"), "an empty plot");
    assertTrue(titles.contains("Router entropy ÷ ln(experts)"));
  }

  @Test
  void theContentsLinkToEachSection() throws Exception {
    Document page = parse(Report.write(SyntheticRun.write(folder)));
    assertEquals(
        List.of("Learning", "Experts", "Token routing", "Configuration", "Reproduce"),
        texts(page, "h2"));
    assertEquals(texts(page, "h2"), texts(page, "a"));
    assertEquals(
        elements(page, "h2").stream().map(each -> "#" + each.getAttribute("id")).toList(),
        elements(page, "a").stream().map(each -> each.getAttribute("href")).toList());
  }

  @Test
  void aRunningReportReloadsItselfUntilTheRunEnds() throws Exception {
    SyntheticRun.write(folder);
    LiveReport live = new LiveReport(folder, Assertions::fail);
    live.finishedStep();
    String running = status(folder);
    assertTrue(running.startsWith("Training: step 300 of 300 at 20"), running);
    assertFalse(Files.exists(folder.resolve("plots")), "only a finished run has plots");
    Files.delete(folder.resolve("report.html"));
    live.finishedStep();
    assertFalse(Files.exists(folder.resolve("report.html")), "written at every step");
    live.stop();
    assertEquals("Stopped after step 300 of 300.", status(folder));
    assertFalse(Files.readString(folder.resolve("report.html")).contains("id=\"running\""));
    Report.write(folder);
    assertFalse(Files.readString(folder.resolve("report.html")).contains("<p role=\"status\">"));
    assertTrue(Files.exists(folder.resolve("plots")));
  }

  @Test
  void aReportThatCannotBeWrittenIsAWarning() throws Exception {
    SyntheticRun.write(folder);
    Files.writeString(folder.resolve("metrics.jsonl"), "{\n");
    List<String> warnings = new ArrayList<>();
    new LiveReport(folder, warnings::add).finishedStep();
    assertEquals(1, warnings.size(), warnings.toString());
    assertTrue(
        warnings.getFirst().startsWith("the report is not up to date: "), warnings.toString());
  }

  private static String status(Path folder) throws Exception {
    return texts(parse(folder.resolve("report.html")), "p").getFirst();
  }

  /** Half of an axis's last label is outside the plot; long labels of the y axis need room. */
  @ParameterizedTest
  @ValueSource(doubles = {1_500, 100_000, 4_000_000})
  void labelsAreWhole(double last) throws Exception {
    double[] values = {0, last};
    List<Svg> drawings =
        List.of(
            new LineChart("", "step", List.of(new Curve("", values, values, Form.LINE)), 0, 0)
                .draw(""),
            new HeatMap(
                    "",
                    HeatMap.Side.rows("expert", List.of(0)),
                    HeatMap.Side.counting("step", List.of(0L, 1L), (long) last),
                    new double[1][2])
                .draw(""),
            new StackedBars(
                    "",
                    List.of("a"),
                    List.of(new Bar("4,096 GPUs, tensor 16, expert 1024", new double[] {last})),
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
    assertEquals(List.of("Learning", "Experts", "Configuration"), headings);
  }

  @Test
  void samplesOfAnEarlierVersionHaveNoRoutes() throws Exception {
    SyntheticRun.write(folder);
    Files.writeString(
        folder.resolve("samples.json"), "[{\"prompt\": \"It \", \"text\": \"was so\"}]");
    Document page = parse(Report.write(folder));
    assertTrue(texts(page, "h2").contains("Texts"));
    assertTrue(texts(page, "p").contains("It was so"));
    assertNull(page.getElementById("routes"));
  }

  @Test
  void tokensAreThereForTheScript() throws Exception {
    SyntheticRun.write(folder);
    Document page = parse(Report.write(folder));
    assertTrue(texts(page, "h2").contains("Token routing"));
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
  void theTopHasTheResultAndTheEndTheCommands() throws Exception {
    SyntheticRun.write(folder);
    Document page = parse(Report.write(folder));
    assertEquals(
        folder.getFileName() + ": MoE model, 2 layers, hidden size 64",
        texts(page, "h1").getFirst());
    assertTrue(texts(page, "dd").containsAll(List.of("1.625", "76.8k", "0:01:17")));
    assertEquals(
        "panamoe train --out 'a run'\npanamoe train --resume", texts(page, "pre").getLast());
    List<String> facts = texts(page, "dd");
    assertTrue(facts.contains("2026-01-02T03:04:05Z"), facts.toString());
    assertTrue(facts.contains("some <text>"), facts.toString());
    assertTrue(facts.contains("A processor, 2 threads, cpu"), facts.toString());
    assertTrue(facts.contains("1.0, commit abc"), facts.toString());
  }

  /** A steep beginning would flatten the rest of a curve. */
  @Test
  void curvesShowWhatIsLearnt() throws Exception {
    SyntheticRun.write(folder);
    String html = Files.readString(Report.write(folder));
    String note = "Peaks above the scale are cut off.";
    assertFalse(html.contains(note));
    Path metrics = folder.resolve("metrics.jsonl");
    List<String> lines = new ArrayList<>(Files.readAllLines(metrics));
    lines
        .subList(0, 5)
        .replaceAll(line -> line.replaceAll("\"bits_per_byte\":[\\d.]+", "\"bits_per_byte\":40"));
    Files.write(metrics, lines);
    html = Files.readString(Report.write(folder));
    assertTrue(html.contains("Lower is better. " + note));
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
    return elements(document.getDocumentElement(), element).stream()
        .map(Element::getTextContent)
        .toList();
  }

  private static List<Element> elements(Document document, String element) {
    return elements(document.getDocumentElement(), element);
  }

  private static List<Element> elements(Element root, String element) {
    NodeList nodes = root.getElementsByTagName(element);
    return IntStream.range(0, nodes.getLength()).mapToObj(i -> (Element) nodes.item(i)).toList();
  }
}
