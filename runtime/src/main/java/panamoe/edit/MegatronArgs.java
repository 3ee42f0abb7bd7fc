package panamoe.edit;

import java.math.BigInteger;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import panamoe.checkpoint.CheckpointException;

/**
 * The training arguments in a checkpoint of Megatron-DeepSpeed.
 *
 * @param file for messages
 * @param values by name; None counts as absent
 */
record MegatronArgs(Path file, Map<String, Object> values) {
  int count(String name) {
    Integer value = count(name, null);
    if (value == null) {
      throw bad(name, "missing", "a whole number");
    }
    return value;
  }

  /**
   * @param absent the default
   */
  Integer count(String name, Integer absent) {
    return value(name) == null ? absent : (Integer) count(name, value(name));
  }

  private int count(String name, Object value) {
    if (value instanceof Long number && number >= 1 && number <= Integer.MAX_VALUE) {
      return number.intValue();
    }
    throw bad(name, shown(value), "a whole number from 1");
  }

  /** A number, or a list of them. */
  List<Integer> counts(String name) {
    return value(name) instanceof List<?> items
        ? items.stream().map(item -> count(name, item)).toList()
        : List.of(count(name, 1));
  }

  double number(String name, double absent) {
    return switch (value(name)) {
      case null -> absent;
      case Double number -> number;
      case Long number -> number;
      case Object other -> throw bad(name, shown(other), "a number");
    };
  }

  boolean flag(String name, boolean absent) {
    return switch (value(name)) {
      case null -> absent;
      case Boolean flag -> flag;
      case Object other -> throw bad(name, shown(other), "True or False");
    };
  }

  /** Refuses any value but {@code only}, which is also the default. */
  void require(String name, Object only) {
    Object value = value(name);
    if (value != null && !value.equals(only)) {
      throw bad(name, shown(value), shown(only) + ": nothing else is read");
    }
  }

  Object value(String name) {
    return values.get(name);
  }

  CheckpointException bad(String name, String found, String expected) {
    return new CheckpointException(
        file + ": args." + name + " is " + found + ", expected " + expected);
  }

  private static String shown(Object value) {
    return switch (value) {
      case Boolean flag -> flag ? "True" : "False";
      case String text -> "'" + (text.length() > 40 ? text.substring(0, 40) + "..." : text) + "'";
      case Long _, Double _, BigInteger _ -> value.toString();
      case null, default -> "of another kind";
    };
  }
}
