package panamoe.harness.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Map;
import panamoe.harness.report.Table;
import panamoe.harness.report.Table.Column;
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

  static Table<Map.Entry<String, Constant>> table(Map<String, Constant> constants) {
    return new Table<>(
        List.of(
            Column.ofWords("constant", Map.Entry::getKey),
            Column.of("value", "%.4g", each -> each.getValue().value()),
            Column.ofWords("unit", each -> each.getValue().unit()),
            Column.ofWords("kind", each -> each.getValue().kind().toString()),
            Column.ofWords("source", each -> each.getValue().source())),
        List.copyOf(constants.entrySet()));
  }
}
