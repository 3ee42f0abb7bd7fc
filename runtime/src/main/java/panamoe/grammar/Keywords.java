package panamoe.grammar;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;

/** The keywords of a schema: supported, ignored and refused ones. */
final class Keywords {
  /** Keywords without influence on validity. */
  private static final Set<String> ANNOTATIONS =
      Set.of(
          """
          $schema $id $comment $defs definitions title description default examples example
          deprecated readOnly writeOnly nullable"""
              .split("\\s+"));

  /** Each of these excludes all other keywords, except {@code type} with the last two. */
  private static final List<String> ALONE =
      List.of("$ref", "anyOf", "oneOf", "allOf", "const", "enum");

  private static final Set<String> OTHERS =
      Set.of(
          """
          type properties required additionalProperties items prefixItems minItems maxItems
          minLength maxLength pattern format minimum maximum exclusiveMinimum exclusiveMaximum"""
              .split("\\s+"));

  /** Keywords that are supported with this one value only. */
  private static final Map<String, String> WITHOUT_EFFECT =
      Map.of("uniqueItems", "false", "minProperties", "0", "minContains", "0");

  private Keywords() {}

  /**
   * The exclusive keyword of a schema; null if {@code type} decides.
   *
   * @throws IllegalArgumentException if a keyword is not supported, or not in this combination
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
            said.iterator().next(), "with \"" + alone + "\" is not supported: join them");
      }
    }
    return alone;
  }
}
