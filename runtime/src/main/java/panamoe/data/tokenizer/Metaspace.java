package panamoe.data.tokenizer;

import java.util.function.BooleanSupplier;
import panamoe.data.regex.Regex;
import tools.jackson.databind.JsonNode;

/**
 * Writes {@code ▁} for each space, and one before a piece that does not begin with one; then splits
 * before each {@code ▁}.
 *
 * @param prefix which pieces get one
 * @param splits whether it splits
 */
record Metaspace(Prefix prefix, boolean splits) implements PreTokenizer.Stage {
  enum Prefix {
    NEVER,
    /** The piece with which the whole text begins. */
    FIRST,
    ALWAYS
  }

  private static final Split BEFORE_SPACES =
      new Split(
          Regex.literal(String.valueOf(TokenDecoder.SPACE)),
          Split.Behavior.MERGED_WITH_NEXT,
          false);

  static Metaspace of(JsonNode part, Source source) {
    if (!part.path("replacement").asString("").equals(String.valueOf(TokenDecoder.SPACE))) {
      throw source.unsupported(
          "replacement of Metaspace", part.path("replacement"), String.valueOf(TokenDecoder.SPACE));
    }
    // Earlier files say add_prefix_space.
    boolean adds = source.flag(part.path("add_prefix_space"), "add_prefix_space", true);
    Prefix prefix =
        switch (part.hasNonNull("prepend_scheme")
            ? part.get("prepend_scheme").asString("")
            : adds ? "always" : "never") {
          case "never" -> Prefix.NEVER;
          case "first" -> Prefix.FIRST;
          case "always" -> Prefix.ALWAYS;
          default ->
              throw source.unsupported(
                  "prepend_scheme", part.path("prepend_scheme"), "never, first or always");
        };
    return new Metaspace(prefix, source.flag(part.path("split"), "split", true));
  }

  @Override
  public Split.Sink into(Split.Sink sink, BooleanSupplier beginsText) {
    Split.Sink behind = splits ? BEFORE_SPACES.into(sink) : sink;
    return (text, from, to) -> {
      boolean first = beginsText.getAsBoolean();
      boolean adds = prefix == Prefix.ALWAYS || prefix == Prefix.FIRST && first;
      adds &= text[from] != ' ' && text[from] != TokenDecoder.SPACE;
      char[] spaced = new char[to - from + (adds ? 1 : 0)];
      spaced[0] = TokenDecoder.SPACE;
      for (int at = from, to2 = adds ? 1 : 0; at < to; at++, to2++) {
        spaced[to2] = text[at] == ' ' ? TokenDecoder.SPACE : text[at];
      }
      behind.piece(spaced, 0, spaced.length);
    };
  }
}
