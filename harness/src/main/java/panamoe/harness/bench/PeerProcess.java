package panamoe.harness.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.util.List;
import java.util.stream.StreamSupport;

/** A running {@link Peer}, which answers one {@link PeerQuestion} at a time. Used by one thread. */
final class PeerProcess implements AutoCloseable {
  private final ObjectMapper json = new ObjectMapper();
  private final String label;
  private final String style;
  private final Process process;
  private final BufferedWriter questions;
  private final BufferedReader answers;

  private PeerProcess(String label, String style, Process process) {
    this.label = label;
    this.style = style;
    this.process = process;
    this.questions = process.outputWriter();
    this.answers = process.inputReader();
  }

  /**
   * Runs {@code command} and waits for the line that says it is ready.
   *
   * @param advice for the message if it exits instead
   */
  static PeerProcess start(String label, String style, List<String> command, String advice)
      throws IOException {
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    PeerProcess peer = new PeerProcess(label, style, process);
    if (peer.answers.readLine() == null) {
      peer.close();
      throw new IOException(
          "the peer " + label + " cannot be started with " + command.getFirst() + ": " + advice);
    }
    return peer;
  }

  String label() {
    return label;
  }

  /** A contender that runs the cell's work on the peer. */
  Contender contender(Cell cell) {
    return new Contender() {
      @Override
      public double[] burst(double seconds) throws IOException {
        questions.write(json.writeValueAsString(PeerQuestion.of(cell, style, seconds)));
        questions.newLine();
        questions.flush();
        return times(answers.readLine());
      }

      @Override
      public long process() {
        return process.pid();
      }
    };
  }

  private double[] times(String answer) throws IOException {
    if (answer == null) {
      throw new IOException("the peer " + label + " ended: not enough memory, perhaps");
    }
    JsonNode node = json.readTree(answer);
    if (node.has("error")) {
      throw new IOException("the peer " + label + " failed: " + node.get("error").asText());
    }
    return StreamSupport.stream(node.get("ms").spliterator(), false)
        .mapToDouble(JsonNode::asDouble)
        .toArray();
  }

  @Override
  public void close() {
    process.destroy();
  }
}
