package panamoe.data.tokenizer;

import java.lang.reflect.Array;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeSet;
import panamoe.io.DataException;
import panamoe.io.Sha256;
import panamoe.io.Words;

/**
 * Typed access to a GGUF file's metadata about its tokenizer, {@code tokenizer.ggml.*}.
 *
 * @param values by key: strings, numbers, Booleans, and lists or arrays of them
 */
public record TokenizerMetadata(Map<String, ?> values, String file) {
  private static final String KEYS = "tokenizer.ggml.";

  Source source() {
    return new Source(file);
  }

  /** Whether there is a value. */
  boolean has(String key) {
    return values.get(KEYS + key) != null;
  }

  /** The string of a key; empty if the key is absent. */
  public Optional<String> text(String key) {
    return Optional.ofNullable(value(key, String.class, "a string"));
  }

  boolean flag(String key, boolean fallback) {
    Boolean value = value(key, Boolean.class, "true or false");
    return value == null ? fallback : value;
  }

  /**
   * The id of a token such as {@code eos}; empty if the key is absent.
   *
   * @param tokens in the vocabulary
   */
  public OptionalInt token(String name, int tokens) {
    Number value = value(name + "_token_id", Number.class, "a token");
    if (value == null) {
      return OptionalInt.empty();
    }
    if (value.longValue() < 0 || value.longValue() >= tokens) {
      throw trouble(name + "_token_id", value, "0 to " + (tokens - 1));
    }
    return OptionalInt.of(value.intValue());
  }

  /** The SHA-256 of all its values, in hexadecimal. */
  public String sha256() {
    MessageDigest digest = Sha256.digest();
    for (String key : new TreeSet<>(values.keySet())) {
      if (key.startsWith(KEYS)) {
        Object value = values.get(key);
        boolean many = value instanceof List<?> || value.getClass().isArray();
        String text = key + "=" + (many ? elements(key.substring(KEYS.length())) : value) + "\0";
        digest.update(text.getBytes(StandardCharsets.UTF_8));
      }
    }
    return Sha256.hex(digest);
  }

  List<String> texts(String key) {
    List<String> texts = new ArrayList<>();
    for (Object each : elements(key)) {
      if (!(each instanceof String text)) {
        throw trouble(key, each, "texts");
      }
      texts.add(text);
    }
    return texts;
  }

  /**
   * @param count expected
   */
  double[] numbers(String key, int count) {
    double[] numbers = numbers(key);
    if (numbers.length != count) {
      throw trouble(key, numbers.length + " numbers", "one for each of " + count + " tokens");
    }
    return numbers;
  }

  /** Bytes, signed or not; empty if the key is absent. */
  byte[] bytes(String key) {
    double[] numbers = has(key) ? numbers(key) : new double[0];
    byte[] bytes = new byte[numbers.length];
    for (int i = 0; i < bytes.length; i++) {
      if (numbers[i] < Byte.MIN_VALUE || numbers[i] > 255) {
        throw trouble(key, numbers[i], "bytes");
      }
      bytes[i] = (byte) numbers[i];
    }
    return bytes;
  }

  private double[] numbers(String key) {
    List<?> elements = elements(key);
    double[] numbers = new double[elements.size()];
    for (int i = 0; i < numbers.length; i++) {
      if (!(elements.get(i) instanceof Number number)) {
        throw trouble(key, elements.get(i), "numbers");
      }
      numbers[i] = number.doubleValue();
    }
    return numbers;
  }

  private List<?> elements(String key) {
    Object value = values.get(KEYS + key);
    if (value == null) {
      throw new DataException(file + " has no " + KEYS + key);
    }
    if (value instanceof List<?> list) {
      return list;
    }
    if (!value.getClass().isArray()) {
      throw trouble(key, value, "a list");
    }
    List<Object> elements = new ArrayList<>();
    for (int i = 0; i < Array.getLength(value); i++) {
      elements.add(Array.get(value, i));
    }
    return elements;
  }

  private <T> T value(String key, Class<T> type, String expected) {
    Object value = values.get(KEYS + key);
    if (value != null && !type.isInstance(value)) {
      throw trouble(key, value, expected);
    }
    return type.cast(value);
  }

  private DataException trouble(String key, Object given, String expected) {
    return source()
        .trouble(
            Words.of(
                "has %s for %s%s, expected %s",
                Source.shown(String.valueOf(given)), KEYS, key, expected));
  }
}
