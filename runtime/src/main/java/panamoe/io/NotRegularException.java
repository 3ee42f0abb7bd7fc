package panamoe.io;

import java.nio.file.FileSystemException;
import java.nio.file.Path;

/**
 * A link, a pipe, a device or a folder is where a regular file was expected, or something else is
 * where a folder was expected.
 */
public final class NotRegularException extends FileSystemException {
  NotRegularException(Path path, PathKind found, String expected) {
    super(path.toString(), null, found.words() + ", not " + expected);
  }
}
