package panamoe.checkpoint;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import panamoe.io.FileErrors;
import panamoe.io.NotRegularException;
import panamoe.io.Words;

/**
 * A file or checkpoint that cannot be read, written or fitted to a model. The message is one
 * sentence that names the file, the tensor or field, and the offending value.
 */
public final class CheckpointException extends RuntimeException {
  private final boolean damage;

  /**
   * @param pattern of the message, by {@link Words#of}
   */
  public CheckpointException(String pattern, Object... values) {
    this(Words.of(pattern, values), null, false);
  }

  public CheckpointException(String message, Throwable cause) {
    this(message, cause, false);
  }

  private CheckpointException(String message, Throwable cause, boolean damage) {
    super(message, cause);
    this.damage = damage;
  }

  /** The saved bytes were changed or are missing. */
  static CheckpointException damaged(String pattern, Object... values) {
    return new CheckpointException(Words.of(pattern, values), null, true);
  }

  /** A file could not be read; its content is unknown. */
  public static CheckpointException unread(Path path, IOException failure) {
    String sentence =
        switch (failure) {
          case NoSuchFileException _ -> path + " does not exist";
          case NotRegularException e -> FileErrors.sentence(e);
          default -> path + " could not be read: " + FileErrors.reason(failure);
        };
    return new CheckpointException(sentence, failure);
  }

  /** A file could not be written. */
  public static CheckpointException unwritten(Path path, IOException failure) {
    FileSystemException named = FileErrors.naming(path, failure);
    return new CheckpointException(FileErrors.sentence(named), named);
  }

  /** The first of two failures, with the other one; {@code first} may be null. */
  public static CheckpointException first(CheckpointException first, CheckpointException next) {
    if (first == null) {
      return next;
    }
    first.addSuppressed(next);
    return first;
  }

  /** This exception with a remedy appended to its message. */
  CheckpointException with(String remedy) {
    return new CheckpointException(getMessage() + remedy, this, damage);
  }

  /** Whether the saved bytes are proven to be changed or missing. */
  boolean isDamage() {
    return damage;
  }
}
