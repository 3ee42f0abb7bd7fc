package panamoe.checkpoint.gguf;

import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import panamoe.checkpoint.CheckpointException;

/**
 * The metadata of a GGUF file: typed values by key. Every accessor throws {@link
 * CheckpointException} if the file has no such key, or its value is of another kind. Immutable.
 */
public final class GgufMetadata {
  private final Path path;
  private final Map<String, GgufValue> values;

  GgufMetadata(Path path, Map<String, GgufValue> values) {
    this.path = path;
    this.values = values;
  }

  /** The file that they are from. */
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
    GgufValue value = one(key, "a string");
    return value instanceof GgufValue.Texts texts
        ? texts.values().getFirst()
        : refuse(key, value, "a string");
  }

  /** An array of strings; not to be changed. */
  public List<String> texts(String key) {
    GgufValue value = value(key);
    return value.array() && value instanceof GgufValue.Texts texts
        ? texts.values()
        : refuse(key, value, "an array of strings");
  }

  /** A whole number of any integer type. */
  public long whole(String key) {
    GgufValue value = one(key, "a whole number");
    return value.type().isWhole()
        ? whole(key, (GgufValue.Numbers) value, 0)
        : refuse(key, value, "a whole number");
  }

  /** A whole number from {@code least} to {@code most}. */
  public int whole(String key, int least, int most) {
    long number = whole(key);
    if (number < least || number > most) {
      throw bad(key, "is " + number + ", expected " + least + " to " + most);
    }
    return (int) number;
  }

  /** An array of whole numbers. */
  public long[] wholes(String key) {
    GgufValue value = value(key);
    if (!value.array() || !value.type().isWhole()) {
      return refuse(key, value, "an array of whole numbers");
    }
    long[] numbers = new long[value.count()];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = whole(key, (GgufValue.Numbers) value, i);
    }
    return numbers;
  }

  /** A floating number. */
  public double real(String key) {
    GgufValue value = one(key, "a floating number");
    return value.type().isReal()
        ? ((GgufValue.Numbers) value).real(0)
        : refuse(key, value, "a floating number");
  }

  /** An array of floating numbers. */
  public double[] reals(String key) {
    GgufValue value = value(key);
    if (!value.array() || !value.type().isReal()) {
      return refuse(key, value, "an array of floating numbers");
    }
    double[] numbers = new double[value.count()];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = ((GgufValue.Numbers) value).real(i);
    }
    return numbers;
  }

  /** A truth value. */
  public boolean flag(String key) {
    GgufValue value = one(key, "a truth value");
    return value.type() == GgufValue.Type.BOOL
        ? ((GgufValue.Numbers) value).whole(0) != 0
        : refuse(key, value, "a truth value");
  }

  private long whole(String key, GgufValue.Numbers numbers, int index) {
    long number = numbers.whole(index);
    if (number < 0 && numbers.type() == GgufValue.Type.UINT64) {
      throw bad(key, "is " + Long.toUnsignedString(number) + ", more than 2^63 - 1");
    }
    return number;
  }

  private GgufValue one(String key, String expected) {
    GgufValue value = value(key);
    return value.array() ? refuse(key, value, expected) : value;
  }

  private GgufValue value(String key) {
    GgufValue value = values.get(key);
    if (value == null) {
      throw new CheckpointException(path + " has no key " + key);
    }
    return value;
  }

  private <T> T refuse(String key, GgufValue value, String expected) {
    String found = (value.array() ? "an array of " : "of type ") + value.type();
    throw bad(key, "is " + found + ", expected " + expected);
  }

  private CheckpointException bad(String key, String problem) {
    return new CheckpointException(path + ": key " + key + " " + problem);
  }
}
