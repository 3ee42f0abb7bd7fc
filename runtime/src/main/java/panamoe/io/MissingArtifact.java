package panamoe.io;

import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Names the jar that a program's class path lacks. */
public final class MissingArtifact {
  /** A package and its artifact. */
  private record Owner(String name, String artifact) {}

  private static final List<Owner> OWNERS =
      List.of(
          new Owner("tools.jackson.core.", "tools.jackson.core:jackson-core"),
          new Owner("tools.jackson.", "tools.jackson.core:jackson-databind"),
          new Owner(
              "com.fasterxml.jackson.annotation.",
              "com.fasterxml.jackson.core:jackson-annotations"),
          new Owner("jcuda.", "org.jcuda:jcuda"),
          new Owner("panamoe.bindings.", "panamoe-bindings"));

  // For a class whose initialization failed, the JVM keeps only the text of the first error.
  private static final Pattern FIRST_ERROR = Pattern.compile("NoClassDefFoundError: ([\\w/$.]+)");

  private MissingArtifact() {}

  /**
   * A sentence that says what to add to the class path; empty unless the error comes from a missing
   * jar that Panamoe knows.
   */
  public static Optional<String> sentence(LinkageError error) {
    return missingClass(error).flatMap(MissingArtifact::sentence);
  }

  private static Optional<String> sentence(String missing) {
    return OWNERS.stream()
        .filter(owner -> missing.startsWith(owner.name()))
        .findFirst()
        .map(owner -> "the class path has no " + missing + ": add " + owner.artifact() + " to it");
  }

  private static Optional<String> missingClass(Throwable error) {
    for (Throwable cause = error; cause != null; cause = cause.getCause()) {
      String message = String.valueOf(cause.getMessage());
      Matcher first = FIRST_ERROR.matcher(message);
      if (first.find()) {
        return Optional.of(first.group(1).replace('/', '.'));
      }
      if (cause instanceof NoClassDefFoundError && !message.contains(" ")) {
        return Optional.of(message.replace('/', '.'));
      }
    }
    return Optional.empty();
  }
}
