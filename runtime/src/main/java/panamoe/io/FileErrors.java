package panamoe.io;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ClosedChannelException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;

/** Describes an I/O failure in words: many of Java's exceptions have only a file name. */
public final class FileErrors {
  /** A read that may fail. */
  @FunctionalInterface
  public interface Read<T> {
    T run() throws IOException;
  }

  private FileErrors() {}

  /** The reason, without the file's name. */
  public static String reason(IOException failure) {
    return switch (failure) {
      case NoSuchFileException _ -> "no such file or folder";
      case AccessDeniedException _ -> "no permission";
      case FileAlreadyExistsException _ -> "already exists";
      case NotDirectoryException _ -> "not a folder";
      case DirectoryNotEmptyException _ -> "folder is not empty";
      case ClosedByInterruptException _ -> "the thread was interrupted";
      case CharacterCodingException _ -> "not a UTF-8 text";
      case FileSystemException e when e.getReason() != null -> e.getReason();
      case FileSystemException e -> e.getClass().getSimpleName();
      default ->
          failure.getMessage() == null ? failure.getClass().getSimpleName() : failure.getMessage();
    };
  }

  /** Whether a retry may succeed: the failure is of the disk, network or process, not the file. */
  public static boolean mayPass(IOException failure) {
    return switch (failure) {
      case NoSuchFileException _, AccessDeniedException _, NotDirectoryException _ -> false;
      case NotRegularException _ -> false;
      case ClosedChannelException _ ->
          false; // includes an interrupted thread's failure, which a retry would repeat
      default -> true;
    };
  }

  /** Reads, and retries once if {@link #mayPass} says that this may help. */
  public static <T> T twice(Read<T> read) throws IOException {
    try {
      return read.run();
    } catch (IOException e) {
      if (!mayPass(e)) {
        throw e;
      }
      return read.run();
    }
  }

  /** The failure, or its cause, with a file's name, which the exception for a full disk lacks. */
  public static FileSystemException naming(Path file, IOException failure) {
    if (failure instanceof FileSystemException named) {
      return named;
    }
    IOException cause = failure.getCause() instanceof IOException inner ? inner : failure;
    FileSystemException naming = new FileSystemException(file.toString(), null, reason(cause));
    naming.initCause(failure);
    return naming;
  }

  /** The reason, and the file if the exception names one. */
  public static String sentence(IOException failure) {
    return switch (failure) {
      case NotRegularException e -> e.getFile() + " is " + reason(e);
      case FileSystemException e -> reason(e) + ": " + e.getFile();
      default -> reason(failure);
    };
  }
}
