package panamoe.io;

import java.util.Arrays;

/** A growable list of ints that keeps its capacity when it is cleared. Not thread-safe. */
public final class IntList {
  private int[] values;
  private int size;

  public IntList(int room) {
    values = new int[room];
  }

  public IntList() {
    this(64);
  }

  public void add(int value) {
    if (size == values.length) {
      values = Arrays.copyOf(values, 2 * size);
    }
    values[size++] = value;
  }

  public void add(int[] added) {
    for (int value : added) {
      add(value);
    }
  }

  public int get(int index) {
    return values[index];
  }

  public int size() {
    return size;
  }

  public void clear() {
    size = 0;
  }

  public boolean endsWith(int value) {
    return size > 0 && values[size - 1] == value;
  }

  public int[] toArray() {
    return Arrays.copyOf(values, size);
  }

  public void copyTo(int[] target) {
    System.arraycopy(values, 0, target, 0, size);
  }

  public int[] tail(int from) {
    return Arrays.copyOfRange(values, from, size);
  }
}
