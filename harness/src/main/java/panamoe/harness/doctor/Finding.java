package panamoe.harness.doctor;

import java.util.Optional;
import panamoe.io.Words;
import picocli.CommandLine.Help.Ansi;

/**
 * One line of the report of {@code panamoe doctor}.
 *
 * @param topic what was checked
 * @param found what was found; null if missing
 * @param required true if Panamoe cannot be built or run without it
 * @param advice what to do; null for nothing
 */
record Finding(String topic, String found, boolean required, String advice) {
  /** A requirement to build or run Panamoe; {@code advice} applies if it is missing. */
  static Finding needed(String topic, Optional<String> found, String advice) {
    return new Finding(topic, found.orElse(null), true, found.isPresent() ? null : advice);
  }

  /** Something that Panamoe can use; {@code advice} applies if it is missing. */
  static Finding optional(String topic, Optional<String> found, String advice) {
    return new Finding(topic, found.orElse(null), false, found.isPresent() ? null : advice);
  }

  static Finding fact(String topic, String found) {
    return new Finding(topic, found, false, null);
  }

  /** A fact about the machine, with advice to improve it. */
  static Finding improvable(String topic, String found, String advice) {
    return new Finding(topic, found, false, advice);
  }

  boolean fatal() {
    return required && found == null;
  }

  /**
   * One line of the table, and a second line for the advice.
   *
   * @param terminal colours of the marks
   */
  String describe(Ansi terminal) {
    String mark = fatal() ? "@|red !!|@" : found == null ? "@|yellow --|@" : "@|green ok|@";
    String line =
        Words.of("%s  %-16s %s", terminal.string(mark), topic, found == null ? "not found" : found);
    return advice == null ? line : line + System.lineSeparator() + " ".repeat(21) + "-> " + advice;
  }
}
