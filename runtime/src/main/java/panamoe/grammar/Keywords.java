package panamoe.grammar;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;

/** The keywords of a schema: what is said about texts, what is not, and what is refused. */
final class Keywords {
  /** Say nothing about which texts are valid. */
  private static final Set<String> ANNOTATIONS =
      Set.of(
          """
          $schema $id $comment $defs definitions title description default examples example
          deprecated readOnly writeOnly nullable"""
              .split("\\s+"));

  /** No other keyword may be beside them, except {@code type} beside the last two. */
  private static final List<String> ALONE =
      List.of("$ref", "anyOf", "oneOf", "allOf", "const", "enum");

  private static final Set<String> OTHERS =
      Set.of(
          """
          type properties required additionalProperties items prefixItems minItems maxItems
          minLength maxLength pattern format minimum maximum exclusiveMinimum exclusiveMaximum"""
              .split("\\s+"));

  /** Values of keywords that are supported with no other value. */
  private static final Map<String, String> WITHOUT_EFFECT =
      Map.of("uniqueItems", "false", "minProperties", "0", "minContains", "0");

  private Keywords() {}

  /**
   * The keyword that decides alone; null if types do.
   *
   * @throws IllegalArgumentException if a keyword is not supported, or not beside another one
   */
  static String check(Schema schema) {
    Set<String> said = new TreeSet<>(schema.node().propertyNames());
    said.removeAll(ANNOTATIONS);
    WITHOUT_EFFECT.forEach(
        (keyword, value) -> {
          if (value.equals(schema.node().path(keyword).toString())) {
            said.remove(keyword);
          }
        });
    for (String keyword : said) {
      if (!OTHERS.contains(keyword) && !ALONE.contains(keyword)) {
        throw schema.refuse(keyword, "is not supported");
      }
    }
    String alone = ALONE.stream().filter(said::contains).findFirst().orElse(null);
    if (alone != null) {
      boolean values = alone.equals("const") || alone.equals("enum");
      Predicate<String> fits = one -> one.equals(alone) || values && one.equals("type");
      said.removeIf(fits);
      if (!said.isEmpty()) {
        throw schema.refuse(
            said.iterator().next(), "beside \"" + alone + "\" is not supported: join them");
      }
    }
    return alone;
  }
}
