package panamoe.io;

import java.util.Optional;

/** The version of the jar that a class comes from. */
public final class JarVersion {
  private JarVersion() {}

  /** That of a named module, or of the jar's manifest; empty outside jars. */
  public static Optional<String> of(Class<?> type) {
    Module module = type.getModule();
    return module.isNamed()
        ? module.getDescriptor().rawVersion()
        : Optional.ofNullable(type.getPackage().getImplementationVersion());
  }

  /** As {@link #of}; "development" outside jars. */
  public static String orDevelopment(Class<?> type) {
    return of(type).orElse("development");
  }
}
