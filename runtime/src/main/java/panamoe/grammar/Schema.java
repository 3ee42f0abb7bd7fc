package panamoe.grammar;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.math.BigDecimal;
import java.net.URLDecoder;
import tools.jackson.databind.JsonNode;

/**
 * A schema or a part of one.
 *
 * @param node its JSON
 * @param place a JSON pointer from the root; "#" is the root
 */
record Schema(JsonNode node, String place) {
  /** Maximum of a length, of a number of items, or of a bound's digits. */
  private static final int MOST = 1_000_000;

  private static final int MOST_DIGITS = 1000;

  /** The part of a schema at a reference; with a missing node where nothing is. */
  static Schema at(JsonNode root, String place) {
    String pointer = URLDecoder.decode(place.substring(1).replace("+", "%2B"), UTF_8);
    return new Schema(root.at(pointer), place);
  }

  boolean has(String keyword) {
    return node.has(keyword);
  }

  JsonNode get(String keyword) {
    return node.get(keyword);
  }

  /** The subschema of a keyword or a member. */
  Schema child(String keyword) {
    return new Schema(node.get(keyword), place + "/" + escaped(keyword));
  }

  Schema child(int index) {
    return new Schema(node.get(index), place + "/" + index);
  }

  /** The keyword's array, with at least one element. */
  Schema list(String keyword) {
    Schema list = child(keyword);
    if (!list.node.isArray()) {
      throw refuse(keyword, "is " + shown(list.node.toString()) + ", expected a list");
    }
    if (list.node.isEmpty()) {
      throw refuse(keyword, "is an empty list, expected an entry or more");
    }
    return list;
  }

  /** The keyword's value; {@code otherwise} where it is absent. */
  int count(String keyword, int otherwise) {
    JsonNode value = node.get(keyword);
    if (value == null) {
      return otherwise;
    }
    requireFinite(value, keyword);
    if (!value.isNumber() || value.decimalValue().stripTrailingZeros().scale() > 0) {
      throw refuse(keyword, "is not an integer");
    }
    if (value.decimalValue().compareTo(BigDecimal.valueOf(MOST)) > 0
        || value.decimalValue().signum() < 0) {
      throw refuse(keyword, "is not from 0 to " + MOST);
    }
    return value.intValue();
  }

  /** The keyword's value; null where it is absent. */
  BigDecimal number(String keyword) {
    JsonNode value = node.get(keyword);
    if (value == null) {
      return null;
    }
    if (!value.isNumber()) {
      throw refuse(keyword, "is not a number");
    }
    requireFinite(value, keyword);
    BigDecimal number = value.decimalValue();
    if (Math.abs((long) number.scale()) > MOST_DIGITS || number.precision() > MOST_DIGITS) {
      throw refuse(keyword, "has more than " + MOST_DIGITS + " digits");
    }
    return number;
  }

  /** The keyword's value; {@code otherwise} where it is absent. */
  boolean flag(String keyword, boolean otherwise) {
    JsonNode value = node.get(keyword);
    if (value != null && !value.isBoolean()) {
      throw refuse(keyword, "is not true or false");
    }
    return value == null ? otherwise : value.booleanValue();
  }

  String text(String keyword) {
    if (!node.get(keyword).isString()) {
      throw refuse(keyword, "is not a string");
    }
    return node.get(keyword).stringValue();
  }

  IllegalArgumentException refuse(String keyword, String what) {
    return new IllegalArgumentException(
        "the schema's \"" + shown(keyword) + "\" at " + shown(place) + " " + what);
  }

  IllegalArgumentException refuse(String what) {
    return new IllegalArgumentException("the schema at " + shown(place) + " " + what);
  }

  /** A value as compact JSON in UTF-8, which the output must repeat byte for byte. */
  byte[] json(JsonNode value, String keyword) {
    requireFinite(value, keyword);
    String json = value.toString();
    if (!UTF_8.newEncoder().canEncode(json)) {
      throw refuse(keyword, "has half of a surrogate pair");
    }
    return json.getBytes(UTF_8);
  }

  /** JSON numbers beyond 64-bit floating point were parsed as infinite. */
  private void requireFinite(JsonNode value, String keyword) {
    if (value.isDouble() && Double.isInfinite(value.doubleValue())) {
      throw refuse(keyword, "has a number beyond 64-bit floating point");
    }
    value.forEach(inner -> requireFinite(inner, keyword));
  }

  private static String escaped(String key) {
    return key.replace("~", "~0").replace("/", "~1");
  }

  /** Printable and short, for messages. */
  static String shown(String text) {
    String line = text.replaceAll("[\\p{Cntrl}\\p{Cs}\\p{Zl}\\p{Zp}\u0085]", "?");
    return line.length() <= 100 ? line : line.substring(0, 100) + "...";
  }
}
