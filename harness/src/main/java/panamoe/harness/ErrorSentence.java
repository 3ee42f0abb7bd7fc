package panamoe.harness;

import java.io.FileNotFoundException;
import java.io.UncheckedIOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.FileSystemException;
import java.util.concurrent.ExecutionException;
import java.util.regex.Pattern;
import panamoe.io.FileErrors;
import panamoe.io.MissingArtifact;
import panamoe.io.TemporaryName;
import picocli.CommandLine;

/** Turns an exception into one sentence for a person who has not read the source. */
final class ErrorSentence {
  private static final int LONGEST = 4000;

  /** A long word; the beginning and the end of a path are enough to recognise it. */
  private static final Pattern LONG_WORD =
      Pattern.compile("(?<head>\\S{200})\\S{100,}(?<tail>\\S{100})");

  private ErrorSentence() {}

  /** File names may have any length; what is too long is shortened. */
  static String of(Throwable failure) {
    String whole = TemporaryName.unhidden(sentence(failure));
    String sentence = LONG_WORD.matcher(whole).replaceAll("${head}...${tail}");
    return sentence.length() <= LONGEST ? sentence : sentence.substring(0, LONGEST) + "...";
  }

  private static String sentence(Throwable failure) {
    return switch (failure) {
      case UncheckedIOException e -> sentence(e.getCause());
      case ExecutionException e when e.getCause() != null -> sentence(e.getCause());
      case CommandLine.ExecutionException e when e.getCause() != null -> sentence(e.getCause());
      case FileSystemException e -> FileErrors.sentence(e);
      case ClosedByInterruptException e -> FileErrors.sentence(e);
      case FileNotFoundException e -> "cannot open " + e.getMessage();
      case CharacterCodingException _ -> "the text is not valid UTF-8";
      case OutOfMemoryError e -> "out of memory: " + e.getMessage();
      case LinkageError e -> MissingArtifact.sentence(e).orElseGet(() -> fallback(e));
      default -> fallback(failure);
    };
  }

  private static String fallback(Throwable failure) {
    String message = failure.getMessage();
    // Without a message, the exception's class name is the only clue.
    return message == null || message.isBlank()
        ? "unexpected " + failure.getClass().getSimpleName()
        : message.strip();
  }
}
