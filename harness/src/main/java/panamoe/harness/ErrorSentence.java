package panamoe.harness;

import java.io.FileNotFoundException;
import java.io.UncheckedIOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.FileSystemException;
import java.util.concurrent.ExecutionException;
import panamoe.io.FileTrouble;
import panamoe.io.MissingArtifact;
import picocli.CommandLine;

/** Turns an exception into one sentence for a person who has not read the source. */
final class ErrorSentence {
  private ErrorSentence() {}

  static String of(Throwable failure) {
    return switch (failure) {
      case UncheckedIOException e -> of(e.getCause());
      case ExecutionException e when e.getCause() != null -> of(e.getCause());
      case CommandLine.ExecutionException e when e.getCause() != null -> of(e.getCause());
      case FileSystemException e -> FileTrouble.sentence(e);
      case ClosedByInterruptException e -> FileTrouble.sentence(e);
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
