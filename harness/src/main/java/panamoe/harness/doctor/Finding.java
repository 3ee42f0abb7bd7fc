package panamoe.harness.doctor;

import java.util.Locale;
import java.util.Optional;

/**
 * One thing that the doctor looked for.
 *
 * @param topic what was looked for
 * @param found what is there; null when it is missing
 * @param required whether Panamoe cannot be built or cannot run without it, be it there or not
 * @param advice what to do; null when there is nothing to do
 */
record Finding(String topic, String found, boolean required, String advice) {
  /** What Panamoe is built with or runs on. The advice is for where it is missing. */
  static Finding needed(String topic, Optional<String> found, String advice) {
    return new Finding(topic, found.orElse(null), true, found.isPresent() ? null : advice);
  }

  /** What Panamoe can use. The advice is for where it is missing. */
  static Finding optional(String topic, Optional<String> found, String advice) {
    return new Finding(topic, found.orElse(null), false, found.isPresent() ? null : advice);
  }

  /** What the machine is like. */
  static Finding fact(String topic, String found) {
    return new Finding(topic, found, false, null);
  }

  /** A fact that could be better. */
  static Finding improvable(String topic, String found, String advice) {
    return new Finding(topic, found, false, advice);
  }

  boolean fatal() {
    return required && found == null;
  }

  /** One line of the table, with a second one for the advice. */
  String describe() {
    String mark = fatal() ? "!!" : found == null ? "--" : "ok";
    String line =
        String.format(
            Locale.ROOT, "%s  %-16s %s", mark, topic, found == null ? "not found" : found);
    return advice == null ? line : line + System.lineSeparator() + " ".repeat(21) + "-> " + advice;
  }
}
