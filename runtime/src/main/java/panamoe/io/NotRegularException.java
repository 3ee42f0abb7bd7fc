package panamoe.io;

import java.nio.file.FileSystemException;
import java.nio.file.Path;

/**
 * A link, a pipe, a device or a folder stands where a regular file was expected, or anything but a
 * folder for one.
 */
public final class NotRegularException extends FileSystemException {
  NotRegularException(Path path, PathKind found, String expected) {
    super(path.toString(), null, found.words() + ", not " + expected);
  }
}
