package panamoe.api.internal;

import java.security.CodeSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import panamoe.io.JarVersion;

/** Checks that all jars of Panamoe in a program have one version. */
public final class OneVersion {
  /** A class of each jar. */
  private static final List<String> OF_EACH =
      List.of(
          "panamoe.bindings.NativeLibrary",
          "panamoe.backend.Backends",
          "panamoe.api.Device",
          "panamoe.text.MoeModel",
          "panamoe.djl.ArrayMemory"); // needs no class of DJL

  private OneVersion() {}

  /**
   * Compares the jars that a class loader has. Classes outside jars have no version.
   *
   * @throws IncompatibleClassChangeError if versions differ; the message names every jar
   */
  public static void check(ClassLoader loader) {
    Set<String> versions = new HashSet<>();
    List<String> jars = new ArrayList<>();
    for (String name : OF_EACH) {
      try {
        Class<?> type = Class.forName(name, false, loader);
        JarVersion.of(type)
            .ifPresent(
                version -> {
                  versions.add(version);
                  jars.add(version + " of " + place(type));
                });
      } catch (ClassNotFoundException e) {
        // Most programs do not have every jar.
      }
    }
    if (versions.size() > 1) {
      throw new IncompatibleClassChangeError(
          "the jars of Panamoe have different versions, take all of one: "
              + String.join(", ", jars));
    }
  }

  private static String place(Class<?> type) {
    CodeSource source = type.getProtectionDomain().getCodeSource();
    // A custom class loader may not give a location.
    return source == null || source.getLocation() == null
        ? type.getPackageName()
        : source.getLocation().getPath();
  }
}
