package panamoe.model.family;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import panamoe.checkpoint.CheckpointException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The keys of a released model's configuration. Each is read, or known to mean nothing for
 * inference, or refused by {@link #requireAllRead}: an overlooked one could change every result. A
 * null counts as absent. Used by one thread.
 */
public final class Keys {
  /** The value in a refusal: "query is 3, which 2 key/value heads do not divide". */
  private static final Pattern VALUE = Pattern.compile(" is (-?[0-9][0-9.eE+-]*)");

  private static final int SHOWN = 80;
  private static final int MOST_NAMES = 20;

  private final Path file;
  private final String parent;
  private final ObjectNode values;
  private final Set<String> unread = new TreeSet<>();
  private final Set<String> read = new TreeSet<>();
  private final Map<String, Keys> below = new LinkedHashMap<>();

  /**
   * @param file for messages
   */
  public Keys(Path file, ObjectNode values) {
    this(file, "", values);
  }

  /** The keys of an object in the file, whose names begin with {@code parent} in messages. */
  Keys(Path file, String parent, ObjectNode values) {
    this.file = file;
    this.parent = parent;
    this.values = values;
    values.propertyNames().forEach(unread::add);
  }

  /** The names of all keys. */
  Collection<String> names() {
    return values.propertyNames();
  }

  /** Whether a key has a value. A key that is null has none, and counts as read. */
  public boolean has(String name) {
    if (values.path(name).isNull()) {
      unread.remove(name);
    }
    return values.hasNonNull(name);
  }

  /** A whole number from 1. */
  public int count(String name) {
    if (!has(name)) {
      throw bad(name, "missing", "a whole number from 1");
    }
    return count(name, 0);
  }

  /**
   * A whole number from 1.
   *
   * @param absent the default
   */
  public int count(String name, int absent) {
    JsonNode value = value(name);
    if (value == null) {
      return absent;
    }
    if (!value.canConvertToExactIntegral() || !value.canConvertToInt() || value.intValue() < 1) {
      throw bad(name, value.toString(), "a whole number from 1, below 2^31");
    }
    return value.intValue();
  }

  /**
   * A whole number from 1 to {@code most}.
   *
   * @param why the reason of the limit, for the message
   */
  public int count(String name, int most, String why) {
    int count = count(name);
    if (count > most) {
      throw bad(name, "" + count, "at most " + most + why);
    }
    return count;
  }

  /** Whole numbers; empty if the key is absent. */
  public List<Integer> numbers(String name) {
    JsonNode value = value(name);
    List<Integer> numbers = new ArrayList<>();
    if (value != null) {
      for (JsonNode each : value.isArray() ? value : List.of(value)) {
        if (!each.isInt() || each.intValue() < 0) {
          throw bad(name, value.toString(), "whole numbers from 0");
        }
        numbers.add(each.intValue());
      }
    }
    return numbers;
  }

  /** Numbers; none where the key is absent. */
  List<Double> reals(String name) {
    JsonNode value = value(name, JsonNode::isArray, "a list of numbers");
    List<Double> reals = new ArrayList<>();
    if (value != null) {
      for (JsonNode each : value) {
        if (!each.isNumber()) {
          throw bad(name, value.toString(), "a list of numbers");
        }
        reals.add(each.doubleValue());
      }
    }
    return reals;
  }

  /** A number. */
  public double number(String name, double absent) {
    JsonNode value = value(name, JsonNode::isNumber, "a number");
    return value == null ? absent : value.doubleValue();
  }

  /**
   * A number, or none.
   *
   * @param absent the default; a null stands for none even if there is a default
   */
  Double number(String name, Double absent) {
    if (values.path(name).isNull()) {
      unread.remove(name);
      return null;
    }
    JsonNode value = value(name, JsonNode::isNumber, "a number");
    return value == null ? absent : (Double) value.doubleValue();
  }

  /** True or false. */
  public boolean flag(String name, boolean absent) {
    JsonNode value = value(name, JsonNode::isBoolean, "true or false");
    return value == null ? absent : value.booleanValue();
  }

  /** True or false; published as a number too, where 0 is false. */
  boolean truth(String name, boolean absent) {
    JsonNode value = value(name);
    return value != null && value.isNumber() ? value.doubleValue() != 0 : flag(name, absent);
  }

  /** A string. */
  public String text(String name, String absent) {
    JsonNode value = value(name, JsonNode::isString, "a text");
    return value == null ? absent : value.stringValue();
  }

  /** Strings; empty if the key is absent. */
  public List<String> texts(String name) {
    JsonNode value = value(name, JsonNode::isArray, "a list of texts");
    List<String> texts = new ArrayList<>();
    if (value != null) {
      value.forEach(each -> texts.add(each.asString("")));
    }
    return texts;
  }

  /** The keys of an object; null if the key is absent. */
  public Keys object(String name) {
    ObjectNode object = (ObjectNode) value(name, JsonNode::isObject, "an object");
    return object == null
        ? null
        : below.computeIfAbsent(name, _ -> new Keys(file, parent + name + ".", object));
  }

  /** Refuses any value but this one; the key may be absent. */
  public void require(String name, Object only) {
    JsonNode value = value(name);
    if (value != null && !value.asString("").equals(only.toString())) {
      throw bad(name, value.toString(), only + ": nothing else is supported");
    }
  }

  /** Marks keys as meaningless for inference. */
  public void ignore(String... names) {
    unread.removeAll(Set.of(names));
  }

  /**
   * Refuses keys that nobody has read.
   *
   * @throws CheckpointException with their names
   */
  public void requireAllRead() {
    List<String> names = unreadNames();
    if (!names.isEmpty()) {
      throw new CheckpointException(
          "%s has %s, which %s not known here and may change what the model computes",
          file, shown(names), names.size() == 1 ? "is" : "are");
    }
  }

  /** Removes the keys that were neither read nor ignored, not those of objects. */
  void removeUnread() {
    values.remove(unread);
  }

  /** The keys that were neither read nor ignored. */
  List<String> unreadNames() {
    List<String> names = new ArrayList<>();
    unread.stream().filter(values::hasNonNull).forEach(name -> names.add(parent + name));
    below.values().forEach(keys -> names.addAll(keys.unreadNames()));
    return names;
  }

  /** An unexpected value. */
  public CheckpointException bad(String name, String found, String expected) {
    return bad(parent + name + " is " + shown(found) + ", expected " + expected);
  }

  /** Another problem. */
  public CheckpointException bad(String problem) {
    return new CheckpointException(file + ": " + problem);
  }

  /** A value that a model cannot have, with the file's key if only one has that value. */
  CheckpointException bad(IllegalArgumentException refusal) {
    Matcher value = VALUE.matcher(String.valueOf(refusal.getMessage()));
    List<String> names = value.find() ? holding(value.group(1)) : List.of();
    String key = names.size() == 1 ? "; in this file the key is " + names.getFirst() : "";
    return new CheckpointException(file + ": " + refusal.getMessage() + key, refusal);
  }

  private List<String> holding(String value) {
    List<String> names = new ArrayList<>();
    for (String name : read) {
      if (has(name) && values.get(name).isNumber() && values.get(name).asString().equals(value)) {
        names.add(parent + name);
      }
    }
    below.values().forEach(keys -> names.addAll(keys.holding(value)));
    return names;
  }

  private JsonNode value(String name, Predicate<JsonNode> is, String expected) {
    JsonNode value = value(name);
    if (value != null && !is.test(value)) {
      throw bad(name, value.toString(), expected);
    }
    return value;
  }

  private JsonNode value(String name) {
    unread.remove(name);
    read.add(name);
    return has(name) ? values.get(name) : null;
  }

  /** A file's own word for a message: cut short, in one line. */
  static String shown(String word) {
    String line = word.replaceAll("\\p{Cntrl}", "?");
    return line.length() > SHOWN ? line.substring(0, SHOWN) + "..." : line;
  }

  /** The names of the first keys. */
  static String shown(Collection<String> names) {
    String first =
        names.stream().limit(MOST_NAMES).map(Keys::shown).collect(Collectors.joining(", "));
    return names.size() > MOST_NAMES
        ? first + " and " + (names.size() - MOST_NAMES) + " more"
        : first;
  }
}
