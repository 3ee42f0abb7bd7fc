package panamoe.harness.serve.log;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.function.Consumer;

/**
 * A line for each request in a file. The file is opened for each line, so that it can be renamed or
 * truncated at any time. Thread-safe.
 */
public final class AccessLog implements AutoCloseable {
  private static final Set<StandardOpenOption> APPEND =
      Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.APPEND);
  private static final FileAttribute<?> OF_OWNER_AND_GROUP =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-r-----"));

  private final Path file;
  private final LogWriter<String> writer;

  /**
   * @param log receives a warning when lines were dropped
   * @throws IOException if the file cannot be written
   */
  public AccessLog(Path file, Metrics metrics, Consumer<String> log) throws IOException {
    this.file = file;
    FileChannel.open(file, APPEND, OF_OWNER_AND_GROUP).close();
    this.writer =
        new LogWriter<>(
            file, "request", LogWriter.QUEUE, this::append, metrics::requestUnlogged, log);
  }

  public void put(String line) {
    writer.put(line);
  }

  /** Leaves no part of a line if the disk is full. */
  private void append(String line) throws IOException {
    try (FileChannel channel = FileChannel.open(file, APPEND, OF_OWNER_AND_GROUP)) {
      long before = channel.size();
      ByteBuffer bytes = ByteBuffer.wrap((line + "\n").getBytes(StandardCharsets.UTF_8));
      try {
        while (bytes.hasRemaining()) {
          channel.write(bytes);
        }
      } catch (IOException e) {
        if (Files.isRegularFile(file)) {
          channel.truncate(before);
        }
        throw e;
      }
    }
  }

  /** Writes what is queued, within {@link LogWriter#LAST_WRITES}. */
  @Override
  public void close() {
    writer.close();
  }
}
