package panamoe.harness;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** A terminal of 80 columns, as far as a program that writes to it needs one. */
final class Screen {
  private static final int COLUMNS = 80;

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

  PrintStream stream() {
    return new PrintStream(bytes, true, StandardCharsets.UTF_8);
  }

  String written() {
    return bytes.toString(StandardCharsets.UTF_8);
  }

  /** Whether a line had this text at any time. */
  boolean seen(String text) {
    return written().contains(text);
  }

  /** What stands on it at the end, from the first line to the cursor's. */
  List<String> lines() {
    List<StringBuilder> lines = new ArrayList<>(List.of(new StringBuilder()));
    int column = 0;
    for (char each : written().toCharArray()) {
      if (each == '\n' || column == COLUMNS && each != '\r') {
        lines.add(new StringBuilder());
        column = 0;
      }
      if (each == '\r') {
        column = 0;
      } else if (each != '\n') {
        StringBuilder line = lines.getLast();
        line.setLength(Math.max(line.length(), column + 1));
        line.setCharAt(column++, each);
      }
    }
    return lines.stream().map(line -> line.toString().stripTrailing()).toList();
  }
}
