package panamoe.harness.report;

import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.json.JsonMapper;

/** The part of a report that shows texts, whose tokens a script colours by their experts. */
final class RoutedTexts {
  private static final JsonMapper JSON = JsonMapper.shared();

  private final List<TokenRoutes> routes = new ArrayList<>();
  private final StringBuilder html = new StringBuilder();

  private RoutedTexts() {}

  /** HTML; nothing if the run has no text to show. */
  static String of(RunDirectory run) {
    RoutedTexts texts = new RoutedTexts();
    texts.add("What it writes", run.samples());
    texts.add("What it reads", run.reading());
    if (texts.html.isEmpty()) {
      return "";
    }
    return texts.routes.isEmpty()
        ? Html.heading("Texts") + texts.html
        : Html.heading("Where tokens go") + choices() + texts.html + texts.data();
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

  private static String choices() {
    return Html.paragraph(
            "Each token is coloured by the expert to which it is sent, in the layer that you choose. A token that is"
                + " pointed at, or reached by arrow keys, tells its experts and their weights; an expert that is pressed"
                + " is the only one in colour.")
        + """
        <div id="choices" hidden=""><div class="choices">
        <label>colours of layer <select id="layer"></select></label>
        <label><input id="numbers" type="checkbox"/> numbers</label>
        </div>
        <div id="legend" role="group" aria-label="Experts of the layer: press one to see its tokens only"></div></div>
        """;
  }

  private String data() {
    String json = JSON.valueToTree(routes).toString();
    // No markup ends the element, whatever the texts are.
    String plain = json.replace("<", "\\u003c").replace("&", "\\u0026");
    return "<script type=\"application/json\" id=\"routes\">" + plain + "</script>\n";
  }
}
