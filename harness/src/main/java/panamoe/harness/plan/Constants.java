package panamoe.harness.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import panamoe.harness.report.Html;
import panamoe.plan.Constant;

/** Constants by name, each with where it comes from. */
final class Constants {
  private Constants() {}

  static ObjectNode json(Map<String, Constant> constants) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    constants.forEach(
        (name, constant) ->
            json.putObject(name)
                .put("value", constant.value())
                .put("unit", constant.unit())
                .put("kind", constant.kind().toString())
                .put("source", constant.source()));
    return json;
  }

  static String text(Map<String, Constant> constants) {
    StringBuilder text = new StringBuilder();
    constants.forEach(
        (name, constant) ->
            text.append(
                String.format(
                    Locale.ROOT,
                    "%-16s %9.4g %-11s %-9s  %s%n",
                    name,
                    constant.value(),
                    constant.unit(),
                    constant.kind(),
                    constant.source())));
    return text.toString();
  }

  /** A paragraph for each. */
  static String html(Map<String, Constant> constants) {
    return constants.entrySet().stream()
        .map(entry -> Html.paragraph(sentence(entry.getKey(), entry.getValue())))
        .collect(Collectors.joining());
  }

  private static String sentence(String name, Constant constant) {
    return String.format(
        Locale.ROOT,
        "%s: %.4g %s, %s: %s",
        name,
        constant.value(),
        constant.unit(),
        constant.kind(),
        constant.source());
  }
}
