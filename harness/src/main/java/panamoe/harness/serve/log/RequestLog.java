package panamoe.harness.serve.log;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.function.Consumer;
import java.util.function.Supplier;
import panamoe.engine.GenerationRequest;
import panamoe.harness.serve.http.Fields;
import panamoe.io.ConfigJson;
import panamoe.io.SafeFolder;
import tools.jackson.databind.node.ObjectNode;

/**
 * Writes each completion with its request to a separate file, atomically and readable by its owner
 * only. Thread-safe.
 */
public final class RequestLog implements AutoCloseable {
  /** The completions of one request. */
  public final class Request {
    private final String id;
    private final long created;
    private final ObjectNode fields;

    private Request(String id, long created, ObjectNode fields) {
      this.id = id;
      this.created = created;
      this.fields = fields;
    }

    /** Records a completion, which is written at its end. */
    public ResponseRecorder recorder(int index, GenerationRequest text) {
      return new ResponseRecorder(
          recorded ->
              writer.put(
                  () ->
                      new LoggedCompletion(
                          id,
                          index,
                          created,
                          origin,
                          text.prompt(),
                          text.sampling(),
                          text.stop(),
                          text.routing(),
                          fields,
                          recorded.answer())));
    }
  }

  private final SafeFolder folder;
  private final LoggedCompletion.Origin origin;
  private final LogWriter<Supplier<LoggedCompletion>> writer;

  /**
   * @param size most completions that wait for the disk
   * @param log receives a warning when completions were dropped
   * @throws IOException if {@code path} is not a writable folder
   */
  public RequestLog(
      Path path, LoggedCompletion.Origin origin, int size, Metrics metrics, Consumer<String> log)
      throws IOException {
    if (!Files.isDirectory(path)) {
      Files.createDirectories(
          path, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    }
    if (!Files.isWritable(path)) {
      throw new AccessDeniedException(path.toString());
    }
    this.folder = new SafeFolder(path);
    this.origin = origin;
    this.writer =
        new LogWriter<>(path, "text", size, text -> write(text.get()), metrics::unlogged, log);
  }

  /**
   * @param id of the response
   * @param created when it began, in seconds since 1970
   * @param fields of the request
   */
  public Request request(String id, long created, Fields fields) {
    return new Request(id, created, fields.given(LoggedCompletion.FIELDS));
  }

  private void write(LoggedCompletion text) throws IOException {
    byte[] bytes = ConfigJson.text(text).getBytes(StandardCharsets.UTF_8);
    if (bytes.length > LoggedCompletion.MOST_BYTES) { // too large to be read back
      throw new IOException(
          "a file would have more than " + LoggedCompletion.MOST_BYTES + " bytes");
    }
    folder.replace(
        text.fileName(),
        bytes,
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
  }

  /** Writes what is queued, within {@link LogWriter#LAST_WRITES}. */
  @Override
  public void close() {
    writer.close();
  }
}
