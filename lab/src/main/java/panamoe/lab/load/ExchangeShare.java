package panamoe.lab.load;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;

/** The share of time that this process's ranks spend in exchanges, from JDK Flight Recorder. */
final class ExchangeShare implements AutoCloseable {
  private static final String EXCHANGE = "panamoe.Exchange";

  private final Recording recording = new Recording();

  /** Starts the recording. */
  ExchangeShare() {
    recording.enable(EXCHANGE).withoutThreshold();
    recording.start();
  }

  /**
   * The share so far, 0 to 1.
   *
   * @param milliseconds that the ranks ran
   * @param ranks of this process
   */
  double of(double milliseconds, int ranks) throws IOException {
    Path file = Files.createTempFile("panamoe", ".jfr");
    try {
      recording.dump(file);
      double exchanging = 0;
      for (RecordedEvent event : RecordingFile.readAllEvents(file)) {
        if (event.getEventType().getName().equals(EXCHANGE)) {
          exchanging += event.getDuration().toNanos() / 1e6;
        }
      }
      return exchanging / (milliseconds * ranks);
    } finally {
      Files.delete(file);
    }
  }

  @Override
  public void close() {
    recording.close();
  }
}
