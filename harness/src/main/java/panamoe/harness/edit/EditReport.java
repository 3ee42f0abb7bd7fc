package panamoe.harness.edit;

import java.nio.file.Path;
import panamoe.io.Count;
import panamoe.io.Words;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * A model before and after an edit.
 *
 * @param model the checkpoint that was edited
 * @param edit the operation as options
 * @param text that both were measured on
 * @param tokens of it on which they were
 */
record EditReport(
    Path model, String edit, String text, long tokens, Quality before, Quality after) {
  ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("model", model.toString());
    json.put("edit", edit);
    json.put("text", text);
    json.put("validation_tokens", tokens);
    json.set("before", before.toJson());
    json.set("after", after.toJson());
    return json;
  }

  /**
   * @param folder of the edited model
   */
  String toText(Path folder) {
    return Words.of("%-14s %16s %16s%n", "", "before", "after")
        + Words.of(
            "%-14s %16.4f %16.4f%n", "bits per byte", before.bitsPerByte(), after.bitsPerByte())
        + row("parameters", before.parameters(), after.parameters())
        + row("per token", before.activated(), after.activated())
        + row("bytes", before.bytes(), after.bytes())
        + Words.of(
            "experts by layer: %s, then %s%nmeasured on %s of the validation text%nwritten: %s",
            before.experts(), after.experts(), Count.of(tokens, "token"), folder);
  }

  private static String row(String name, long before, long after) {
    return Words.of("%-14s %,16d %,16d%n", name, before, after);
  }
}
