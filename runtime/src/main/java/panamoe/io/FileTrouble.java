package panamoe.io;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;

/** What is wrong with a file, in words: the message of many of Java's exceptions is the bare name of the file. */
public final class FileTrouble {
  private FileTrouble() {}

  /** The reason, without the file's name. */
  public static String reason(IOException failure) {
    return switch (failure) {
      case NoSuchFileException _ -> "no such file or folder";
      case AccessDeniedException _ -> "no permission";
      case FileAlreadyExistsException _ -> "already exists";
      case NotDirectoryException _ -> "not a folder";
      case DirectoryNotEmptyException _ -> "folder is not empty";
      case FileSystemException e when e.getReason() != null -> e.getReason();
      case FileSystemException e -> e.getClass().getSimpleName();
      default -> failure.getMessage();
    };
  }

  /** The same failure with the file named, which a write to a full disk does not do. */
  public static FileSystemException naming(Path file, IOException failure) {
    if (failure instanceof FileSystemException named) {
      return named;
    }
    FileSystemException naming = new FileSystemException(file.toString(), null, failure.getMessage());
    naming.initCause(failure);
    return naming;
  }

  /** The reason, and the file if the exception names one. */
  public static String sentence(IOException failure) {
    return failure instanceof FileSystemException e ? reason(e) + ": " + e.getFile() : reason(failure);
  }
}
