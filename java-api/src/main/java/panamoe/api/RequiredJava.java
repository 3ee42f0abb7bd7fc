package panamoe.api;

/**
 * The Java version that Panamoe needs. This module is compiled for Java 17 (pom.xml), so that its
 * classes load on older versions too. The classes that a program uses first call {@link #check},
 * whose message names both versions; the JVM would only name a class-file version.
 */
final class RequiredJava {
  private static final int FEATURE = 25;

  private RequiredJava() {}

  /**
   * @throws UnsupportedClassVersionError if this Java is too old; the message names both versions
   */
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
