package panamoe.conversation.template;

import java.time.LocalDateTime;
import java.time.format.TextStyle;
import java.time.temporal.ChronoField;
import java.util.Locale;

/** Formats a time like C's {@code strftime} in English. */
final class Strftime {
  private Strftime() {}

  static String format(String pattern, LocalDateTime time) {
    StringBuilder text = new StringBuilder();
    for (int at = 0; at < pattern.length(); at++) {
      char next = pattern.charAt(at);
      if (next != '%' || at + 1 == pattern.length()) {
        text.append(next);
        continue;
      }
      boolean bare = pattern.charAt(at + 1) == '-' && at + 2 < pattern.length();
      at += bare ? 2 : 1;
      String field = field(pattern.charAt(at), time);
      text.append(bare && field.length() > 1 && field.startsWith("0") ? field.substring(1) : field);
    }
    return text.toString();
  }

  private static String field(char directive, LocalDateTime time) {
    return switch (directive) {
      case 'Y' -> Integer.toString(time.getYear());
      case 'y' -> two(time.getYear() % 100);
      case 'm' -> two(time.getMonthValue());
      case 'd' -> two(time.getDayOfMonth());
      case 'e' -> String.format(Locale.ROOT, "%2d", time.getDayOfMonth());
      case 'H' -> two(time.getHour());
      case 'I' -> two(time.get(ChronoField.CLOCK_HOUR_OF_AMPM));
      case 'M' -> two(time.getMinute());
      case 'S' -> two(time.getSecond());
      case 'f' -> String.format(Locale.ROOT, "%06d", time.getNano() / 1000);
      case 'j' -> String.format(Locale.ROOT, "%03d", time.getDayOfYear());
      case 'p' -> time.getHour() < 12 ? "AM" : "PM";
      case 'B' -> time.getMonth().getDisplayName(TextStyle.FULL, Locale.ENGLISH);
      case 'b', 'h' -> time.getMonth().getDisplayName(TextStyle.SHORT, Locale.ENGLISH);
      case 'A' -> time.getDayOfWeek().getDisplayName(TextStyle.FULL, Locale.ENGLISH);
      case 'a' -> time.getDayOfWeek().getDisplayName(TextStyle.SHORT, Locale.ENGLISH);
      case 'u' -> Integer.toString(time.getDayOfWeek().getValue());
      case 'w' -> Integer.toString(time.getDayOfWeek().getValue() % 7);
      case 'F' -> format("%Y-%m-%d", time);
      case 'T' -> format("%H:%M:%S", time);
      case 'R' -> format("%H:%M", time);
      case 'D' -> format("%m/%d/%y", time);
      case 'c' -> format("%a %b %e %H:%M:%S %Y", time);
      case 'Z', 'z' -> ""; // a local time has no zone
      case '%' -> "%";
      default -> throw new TemplateException("strftime_now does not know %" + directive);
    };
  }

  private static String two(int number) {
    return String.format(Locale.ROOT, "%02d", number);
  }
}
