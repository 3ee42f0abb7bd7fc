package panamoe.data.tokenizer;

import panamoe.io.IntList;
import tools.jackson.databind.JsonNode;

/** The special tokens that a file's post-processor puts before every text. */
final class PrefixTokens {
  private static final int MAX_PARTS = 10;

  private PrefixTokens() {}

  /** Their ids; none if there is no {@code TemplateProcessing}. */
  static int[] of(TokenizerJson json) {
    IntList ids = new IntList();
    collect(json.part("post_processor"), json, ids);
    return ids.toArray();
  }

  private static void collect(JsonNode part, TokenizerJson json, IntList ids) {
    Source source = json.source;
    switch (part.path("type").asString("")) {
      case "Sequence" ->
          source
              .list(part.path("processors"), "processors", MAX_PARTS)
              .forEach(each -> collect(each, json, ids));
      case "TemplateProcessing" -> {
        for (JsonNode each : source.list(part.path("single"), "single", MAX_PARTS)) {
          if (each.has("Sequence")) {
            return;
          }
          String name = each.path("SpecialToken").path("id").asString("");
          JsonNode given = part.path("special_tokens").path(name).path("ids");
          for (JsonNode id : source.list(given, "ids of " + Source.shown(name), MAX_PARTS)) {
            ids.add(id.isInt() ? id.intValue() : -1);
          }
        }
      }
      default -> {
        // Others put nothing before a text that is a prompt.
      }
    }
  }
}
