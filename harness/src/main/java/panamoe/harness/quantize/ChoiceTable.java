package panamoe.harness.quantize;

import static java.util.stream.Collectors.joining;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import panamoe.io.Words;
import panamoe.quantize.FormatChoice;
import panamoe.quantize.Sensitivity.Option;
import panamoe.quantize.Sensitivity.Stack;
import tools.jackson.databind.node.ObjectNode;

/** The chosen formats by class of matrices, with what they cost. */
final class ChoiceTable {
  private record Row(double int4Loss, Map<String, Integer> formats, long bytes, double loss) {
    Row plus(Option option) {
      Map<String, Integer> counts = new TreeMap<>(formats);
      counts.merge(option.format().name(), 1, Integer::sum);
      return new Row(int4Loss, counts, bytes + option.bytes(), loss + option.loss());
    }

    String described() {
      return formats.entrySet().stream()
          .map(it -> it.getValue() + " " + it.getKey())
          .collect(joining(", "));
    }
  }

  private final FormatChoice choice;
  private final Map<String, Row> rows = new LinkedHashMap<>();

  ChoiceTable(FormatChoice choice) {
    this.choice = choice;
    choice
        .sensitivity()
        .classes()
        .forEach((names, loss) -> rows.put(names, new Row(loss, Map.of(), 0, 0)));
    for (int i = 0; i < choice.options().size(); i++) {
      Stack stack = choice.sensitivity().stacks().get(i);
      Option option = choice.options().get(i);
      rows.computeIfPresent(stack.names(), (_, row) -> row.plus(option));
    }
  }

  List<String> lines() {
    int names = rows.keySet().stream().mapToInt(String::length).max().orElse(0);
    int formats = rows.values().stream().mapToInt(it -> it.described().length()).max().orElse(0);
    String form = "%-" + names + "s  %10s  %-" + Math.max(7, formats) + "s  %9s  %5s";
    List<String> lines = new ArrayList<>();
    lines.add(Words.of(form, "matrices", "int4 alone", "formats", "MiB", "share"));
    rows.forEach(
        (name, row) ->
            lines.add(
                Words.of(
                    form,
                    name,
                    Words.of("%+.3f %%", 100 * row.int4Loss),
                    row.described(),
                    Words.of("%,.2f", row.bytes / 0x1p20),
                    Words.of("%.0f %%", choice.loss() == 0 ? 0 : 100 * row.loss / choice.loss()))));
    lines.add(
        Words.of(
            "expected loss: %+.3f %%; %.2f bits per weight", 100 * choice.loss(), bitsPerWeight()));
    return lines;
  }

  private double bitsPerWeight() {
    return (double) Byte.SIZE * choice.bytes() / choice.sensitivity().elements();
  }

  void putInto(ObjectNode json) {
    json.put("expected_loss", choice.loss());
    json.put("bits_per_weight", bitsPerWeight());
    ObjectNode classes = json.putObject("classes");
    rows.forEach(
        (name, row) -> {
          ObjectNode one = classes.putObject(name);
          one.put("int4_loss", row.int4Loss).put("bytes", row.bytes).put("loss", row.loss);
          row.formats.forEach(one.putObject("formats")::put);
        });
  }
}
