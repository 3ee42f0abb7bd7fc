package panamoe.harness.doctor;

import java.util.Optional;
import panamoe.io.Words;
import picocli.CommandLine.Help.Ansi;

/**
 * One result of the doctor.
 *
 * @param topic what was looked for
 * @param found what was found; null if it is missing
 * @param required whether Panamoe cannot be built or run without it
 * @param advice what to do; null if nothing is to be done
 */
record Finding(String topic, String found, boolean required, String advice) {
  /** A requirement to build or run Panamoe, with advice for the case that it is missing. */
  static Finding needed(String topic, Optional<String> found, String advice) {
    return new Finding(topic, found.orElse(null), true, found.isPresent() ? null : advice);
  }

  /** Something that Panamoe can use, with advice for the case that it is missing. */
  static Finding optional(String topic, Optional<String> found, String advice) {
    return new Finding(topic, found.orElse(null), false, found.isPresent() ? null : advice);
  }

  /** A fact about the machine. */
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
   * @param terminal shows marks in colours, if it can
   */
  String describe(Ansi terminal) {
    String mark = fatal() ? "@|red !!|@" : found == null ? "@|yellow --|@" : "@|green ok|@";
    String line =
        Words.of("%s  %-16s %s", terminal.string(mark), topic, found == null ? "not found" : found);
    return advice == null ? line : line + System.lineSeparator() + " ".repeat(21) + "-> " + advice;
  }
}
