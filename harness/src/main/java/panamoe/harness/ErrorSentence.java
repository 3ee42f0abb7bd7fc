package panamoe.harness;

import java.io.FileNotFoundException;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.util.concurrent.ExecutionException;
import picocli.CommandLine;

/** Turns an exception into one sentence for a person who has not read the source. */
final class ErrorSentence {
  private ErrorSentence() {}

  static String of(Throwable failure) {
    return switch (failure) {
      case UncheckedIOException e -> of(e.getCause());
      case ExecutionException e when e.getCause() != null -> of(e.getCause());
      case CommandLine.ExecutionException e when e.getCause() != null -> of(e.getCause());
      case NoSuchFileException e -> "no such file or folder: " + e.getFile();
      case AccessDeniedException e -> "no permission: " + e.getFile();
      case FileAlreadyExistsException e -> "already exists: " + e.getFile();
      case NotDirectoryException e -> "not a folder: " + e.getFile();
      case DirectoryNotEmptyException e -> "folder is not empty: " + e.getFile();
      case FileSystemException e -> e.getReason() == null ? fallback(e) : e.getReason() + ": " + e.getFile();
      case FileNotFoundException e -> "cannot open " + e.getMessage();
      case CharacterCodingException _ -> "the text is not valid UTF-8";
      case OutOfMemoryError e -> "out of memory: " + e.getMessage();
      default -> fallback(failure);
    };
  }

  private static String fallback(Throwable failure) {
    String message = failure.getMessage();
    // Without words of its own, the exception's name is the only clue.
    return message == null || message.isBlank() ? "unexpected " + failure.getClass().getSimpleName() : message.strip();
  }
}
