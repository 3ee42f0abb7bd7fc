package panamoe.api;

/**
 * The Java that Panamoe needs. This module is compiled for Java 17 (pom.xml), so that its classes
 * also load on a Java older than the one needed. The classes that a program uses first call {@link
 * #check}, which names both versions; the JVM would only name the version number of a class file.
 */
final class RequiredJava {
  private static final int FEATURE = 25;

  private RequiredJava() {}

  /**
   * @throws UnsupportedClassVersionError if this Java is too old; one sentence with both versions
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
