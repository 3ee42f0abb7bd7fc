package panamoe.harness.doctor;

/**
 * One thing that the doctor looked for.
 *
 * @param topic what was looked for
 * @param found what is there; null when it is missing
 * @param required whether Panamoe cannot run without it
 * @param advice what to do; null when there is nothing to do
 */
record Finding(String topic, String found, boolean required, String advice) {
  static Finding present(String topic, String found) {
    return new Finding(topic, found, false, null);
  }

  /** Present, but could be better. */
  static Finding improvable(String topic, String found, String advice) {
    return new Finding(topic, found, false, advice);
  }

  static Finding missing(String topic, boolean required, String advice) {
    return new Finding(topic, null, required, advice);
  }

  boolean fatal() {
    return required && found == null;
  }

  /** One line of the table, with a second one for the advice. */
  String describe() {
    String mark = fatal() ? "!!" : found == null ? "--" : "ok";
    String line = "%s  %-16s %s".formatted(mark, topic, found == null ? "not found" : found);
    return advice == null ? line : line + System.lineSeparator() + " ".repeat(21) + "-> " + advice;
  }
}
