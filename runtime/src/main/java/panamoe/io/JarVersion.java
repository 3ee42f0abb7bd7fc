package panamoe.io;

import java.util.Optional;

/** The version of the jar that contains a class. */
public final class JarVersion {
  private JarVersion() {}

  /** The version of a named module, or in the jar's manifest; empty outside jars. */
  public static Optional<String> of(Class<?> type) {
    Module module = type.getModule();
    return module.isNamed()
        ? module.getDescriptor().rawVersion()
        : Optional.ofNullable(type.getPackage().getImplementationVersion());
  }

  /** Like {@link #of}; "development" outside jars. */
  public static String orDevelopment(Class<?> type) {
    return of(type).orElse("development");
  }
}
