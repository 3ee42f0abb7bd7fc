package panamoe.data.tokenizer;

import panamoe.io.IntList;
import tools.jackson.databind.JsonNode;

/**
 * The special tokens that a file's post-processor puts around a text.
 *
 * @param before the text; not to be changed
 * @param after the text; not to be changed
 */
record TemplateTokens(int[] before, int[] after) {
  private static final int MAX_PARTS = 10;

  /** None without {@code TemplateProcessing}. */
  static TemplateTokens of(TokenizerJson json) {
    IntList before = new IntList();
    IntList after = new IntList();
    collect(json.part("post_processor"), json, before, after);
    return new TemplateTokens(before.toArray(), after.toArray());
  }

  private static void collect(JsonNode part, TokenizerJson json, IntList before, IntList after) {
    Source source = json.source;
    switch (part.path("type").asString("")) {
      case "Sequence" ->
          source
              .list(part.path("processors"), "processors", MAX_PARTS)
              .forEach(each -> collect(each, json, before, after));
      case "TemplateProcessing" -> {
        IntList ids = before;
        for (JsonNode each : source.list(part.path("single"), "single", MAX_PARTS)) {
          if (each.has("Sequence")) {
            ids = after;
            continue;
          }
          String name = each.path("SpecialToken").path("id").asString("");
          JsonNode given = part.path("special_tokens").path(name).path("ids");
          for (JsonNode id : source.list(given, "ids of " + Source.shown(name), MAX_PARTS)) {
            ids.add(id.isInt() ? id.intValue() : -1);
          }
        }
      }
      default -> {
        // Other processors put nothing around a text.
      }
    }
  }
}
