package panamoe.harness.report;

import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.json.JsonMapper;

/** The section of a report with texts, whose tokens a script colours by their experts. */
final class RoutedTexts {
  private static final JsonMapper JSON = JsonMapper.shared();

  private final List<TokenRoutes> routes = new ArrayList<>();
  private final StringBuilder html = new StringBuilder();

  private RoutedTexts() {}

  /** HTML; nothing if the run has no text to show. */
  static String of(RunDirectory run) {
    RoutedTexts texts = new RoutedTexts();
    texts.add("Samples", run.samples());
    texts.add("Validation text", run.reading());
    if (texts.html.isEmpty()) {
      return "";
    }
    return texts.routes.isEmpty()
        ? Html.heading("Texts") + texts.html
        : Html.heading("Token routing") + texts.choices() + texts.html + texts.data();
  }

  private void add(String title, List<RoutedText> texts) {
    if (!texts.isEmpty()) {
      html.append("<h3>").append(Html.escape(title)).append("</h3>\n");
      texts.forEach(this::add);
    }
  }

  private void add(RoutedText text) {
    String number = "";
    if (text.routes() != null) {
      number = " data-text=\"" + routes.size() + "\"";
      routes.add(text.routes());
    }
    String language =
        text.language() == null ? "" : " lang=\"" + Html.escape(text.language()) + "\"";
    String prompt =
        text.prompt().isEmpty()
            ? ""
            : "<span class=\"prompt\">" + Html.escape(text.prompt()) + "</span>";
    html.append("<article").append(number).append("><p class=\"written\"").append(language);
    html.append(">").append(prompt).append(Html.escape(text.text())).append("</p></article>\n");
  }

  private String choices() {
    return Html.paragraph(
            "Each token has the colour of its first expert in the chosen layer. Point at a token, or move by arrow"
                + " keys, for its experts and their weights. Press an expert below to colour its tokens only.")
        + Html.layerChoice(
            routes.getFirst().layers(), TokenRoutes.Layer::layer, TokenRoutes.Layer::experts)
        + """
        <p class="choices" hidden=""><label><input id="numbers" type="checkbox"/> expert numbers</label></p>
        <div id="legend" class="choices" hidden="" role="group"
        aria-label="Experts of the layer: press one to see its tokens only"></div>
        """;
  }

  private String data() {
    String json = JSON.valueToTree(routes).toString();
    // JSON's escapes keep markup in a text from ending the element.
    String plain = json.replace("<", "\\u003c").replace("&", "\\u0026");
    return "<script type=\"application/json\" id=\"routes\">" + plain + "</script>\n";
  }
}
