package panamoe.harness.ranks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import panamoe.io.WholeOrNothing;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A trace of computing and exchanges for chrome://tracing and Perfetto: one process per rank, with
 * one lane for computing and one for exchanges. Its source are the flight-recorder events {@code
 * panamoe.Compute} and {@code panamoe.Exchange}; the event's thread name gives the rank.
 */
record Trace(Recording recording) implements AutoCloseable {
  private static final Pattern THREAD = Pattern.compile("rank (\\d+)( .*)?");
  private static final JsonMapper JSON = JsonMapper.shared();

  /** The lanes of a rank. */
  private enum Lane {
    COMPUTE,
    EXCHANGE
  }

  /** Starts recording the ranks of this process. */
  static Trace start() {
    Recording recording = new Recording();
    recording.enable("panamoe.Compute").withoutThreshold();
    recording.enable("panamoe.Exchange").withoutThreshold();
    recording.start();
    return new Trace(recording);
  }

  /** The name of a rank's own thread. */
  static String threadOf(int rank) {
    return "rank " + rank;
  }

  /** Stops recording; returns the events as a JSON array. */
  byte[] stop() throws IOException {
    recording.stop();
    Path file = Files.createTempFile("panamoe", ".jfr");
    try {
      recording.dump(file);
      ArrayNode events = JSON.createArrayNode();
      for (RecordedEvent event : RecordingFile.readAllEvents(file)) {
        Matcher thread = THREAD.matcher(event.getThread().getJavaName());
        if (thread.matches()) {
          events.add(span(event, Integer.parseInt(thread.group(1))));
        }
      }
      return JSON.writeValueAsBytes(events);
    } finally {
      Files.delete(file);
    }
  }

  /** Writes the events of all ranks, each list of them a JSON array, into one file. */
  static void write(Path file, List<byte[]> events) throws IOException {
    ObjectNode all = JSON.createObjectNode();
    ArrayNode merged = all.putArray("traceEvents");
    TreeSet<Integer> ranks = new TreeSet<>();
    for (byte[] each : events) {
      for (JsonNode event : JSON.readTree(each)) {
        merged.add(event);
        ranks.add(event.get("pid").asInt());
      }
    }
    for (int rank : ranks) {
      merged.add(name("process_name", rank, 0, threadOf(rank)));
      for (Lane lane : Lane.values()) {
        merged.add(name("thread_name", rank, lane.ordinal(), lane.name().toLowerCase(Locale.ROOT)));
      }
    }
    WholeOrNothing.replace(file, hidden -> Files.write(hidden, JSON.writeValueAsBytes(all)));
  }

  /** A complete event, with start and duration in microseconds. */
  private static ObjectNode span(RecordedEvent event, int rank) {
    boolean exchange = event.getEventType().getName().equals("panamoe.Exchange");
    ObjectNode span = JSON.createObjectNode();
    span.put("name", event.getString("place")).put("ph", "X").put("pid", rank);
    span.put("tid", (exchange ? Lane.EXCHANGE : Lane.COMPUTE).ordinal());
    span.put(
        "ts",
        event.getStartTime().getEpochSecond() * 1_000_000
            + event.getStartTime().getNano() / 1_000.0);
    span.put("dur", event.getDuration().toNanos() / 1_000.0);
    if (exchange) {
      ObjectNode arguments = span.putObject("args");
      arguments.put("strategy", event.getString("strategy"));
      arguments.put("rows", event.getLong("rows"));
      arguments.put("bytes", event.getLong("bytes"));
    }
    return span;
  }

  private static ObjectNode name(String kind, int rank, int lane, String name) {
    ObjectNode event = JSON.createObjectNode();
    event.put("name", kind).put("ph", "M").put("pid", rank).put("tid", lane);
    event.putObject("args").put("name", name);
    return event;
  }

  @Override
  public void close() {
    recording.close();
  }
}
