package panamoe.api;

/**
 * The Java that Panamoe needs. This module is compiled for Java 17 (pom.xml), so that its classes load on an older Java
 * than that; those that a program meets first call {@link #check} there, which says what the JVM says by a number.
 */
final class RequiredJava {
  private static final int FEATURE = 25;

  private RequiredJava() {}

  /** @throws UnsupportedClassVersionError if this Java is too old; one sentence with both versions */
  static void check() {
    check(Runtime.version().feature());
  }

  static void check(int feature) {
    if (feature < FEATURE) {
      throw new UnsupportedClassVersionError(
          "Panamoe needs Java " + FEATURE + " or newer, and this is Java " + feature);
    }
  }
}
