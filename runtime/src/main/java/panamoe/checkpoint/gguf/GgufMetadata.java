package panamoe.checkpoint.gguf;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import panamoe.checkpoint.CheckpointException;

/**
 * The metadata of a GGUF file: typed values by key. Accessors throw {@link CheckpointException} if
 * the key is missing or its value is of another kind. Immutable.
 */
public final class GgufMetadata {
  private final Path path;
  private final Map<String, GgufValue> values;

  GgufMetadata(Path path, Map<String, GgufValue> values) {
    this.path = path;
    this.values = values;
  }

  /** The stored values. */
  Map<String, GgufValue> stored() {
    return values;
  }

  /** The file, for messages. */
  public Path path() {
    return path;
  }

  /** All keys, in the order of the file. */
  public Set<String> keys() {
    return Collections.unmodifiableSet(values.keySet());
  }

  public boolean contains(String key) {
    return values.containsKey(key);
  }

  /** A string. */
  public String text(String key) {
    return value(key, String.class, "a string");
  }

  /** A whole number of any integer type. */
  public long whole(String key) {
    return value(key, Long.class, "a whole number below 2^63");
  }

  /** A whole number from {@code least} to {@code most}. */
  public int whole(String key, int least, int most) {
    long number = whole(key);
    if (number < least || number > most) {
      String range = least == most ? "" + least : least + " to " + most;
      throw bad(key, "is " + number + ", expected " + range);
    }
    return (int) number;
  }

  /** Whole numbers from 1, one for each of {@code count}; a single one is that of all. */
  public int[] counts(String key, int count) {
    GgufValue value = values.get(key);
    long[] numbers = new long[count];
    if (value != null && value.array()) {
      numbers = value(key, long[].class, "whole numbers");
    } else {
      Arrays.fill(numbers, whole(key));
    }
    if (numbers.length != count || Arrays.stream(numbers).anyMatch(n -> n < 1 || n != (int) n)) {
      throw bad(key, "is not " + count + " whole numbers from 1, below 2^31");
    }
    return Arrays.stream(numbers).mapToInt(number -> (int) number).toArray();
  }

  /** {@code count} booleans. */
  public boolean[] flags(String key, int count) {
    boolean[] flags = value(key, boolean[].class, "an array of truth values");
    if (flags.length != count) {
      throw bad(key, "has " + flags.length + " truth values, expected " + count);
    }
    return flags;
  }

  /** A floating number. */
  public double real(String key) {
    return value(key, Double.class, "a floating number");
  }

  /** A boolean. */
  public boolean flag(String key) {
    return value(key, Boolean.class, "a truth value");
  }

  /**
   * All values by key. Arrays are unmodifiable lists of strings, {@code long[]}, {@code double[]}
   * or {@code boolean[]}. A UINT64 above 2^63 - 1 is a {@link java.math.BigInteger}; in an array it
   * is negative.
   */
  public Map<String, Object> values() {
    Map<String, Object> plain = new LinkedHashMap<>();
    values.forEach((key, value) -> plain.put(key, value.plain()));
    return plain;
  }

  private <T> T value(String key, Class<T> type, String expected) {
    GgufValue value = values.get(key);
    if (value == null) {
      throw new CheckpointException(path + " has no key " + key);
    }
    Object plain = value.plain();
    if (!type.isInstance(plain)) {
      String found = (value.array() ? "an array of " : "of type ") + value.type();
      throw bad(key, "is " + found + ", expected " + expected);
    }
    return type.cast(plain);
  }

  private CheckpointException bad(String key, String problem) {
    return new CheckpointException(path + ": key " + key + " " + problem);
  }
}
