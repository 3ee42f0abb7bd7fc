package panamoe.data.tokenizer;

import java.util.Arrays;

/** A growing array of ints. */
final class IntList {
  private int[] values;
  private int size;

  IntList(int room) {
    values = new int[room];
  }

  IntList() {
    this(64);
  }

  void add(int value) {
    if (size == values.length) {
      values = Arrays.copyOf(values, 2 * size);
    }
    values[size++] = value;
  }

  void add(int[] added) {
    for (int value : added) {
      add(value);
    }
  }

  int get(int index) {
    return values[index];
  }

  int size() {
    return size;
  }

  boolean endsWith(int value) {
    return size > 0 && values[size - 1] == value;
  }

  int[] toArray() {
    return Arrays.copyOf(values, size);
  }

  void copyTo(int[] target) {
    System.arraycopy(values, 0, target, 0, size);
  }

  int[] tail(int from) {
    return Arrays.copyOfRange(values, from, size);
  }
}
