package panamoe.lab.peer;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import panamoe.harness.probe.NativeBuild;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A running peer, which answers one line of JSON by another. Used by one thread. */
public final class PeerProcess implements AutoCloseable {
  /** Debian's interpreter, which has python3-torch; another one may come first on the path. */
  private static final Path DEBIAN_PYTHON = Path.of("/usr/bin/python3");

  private final String label;
  private final Process process;
  private final BufferedWriter questions;
  private final BufferedReader answers;

  private PeerProcess(String label, Process process) {
    this.label = label;
    this.process = process;
    this.questions = process.outputWriter();
    this.answers = process.inputReader();
  }

  /**
   * Runs {@code command} and waits for the line that says it is ready.
   *
   * @param advice for the message if it exits instead
   */
  public static PeerProcess start(String label, List<String> command, String advice)
      throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD);
    // Where mpirun started this process, a peer's mpirun must not take itself for one of its ranks.
    builder.environment().keySet().removeIf(name -> name.matches("(OMPI|PMIX|PRTE)_.*"));
    String refusal =
        "the peer " + label + " cannot be started with " + command.getFirst() + ": " + advice;
    PeerProcess peer;
    try {
      peer = new PeerProcess(label, builder.start());
    } catch (IOException e) {
      throw new IOException(refusal, e);
    }
    String ready = peer.answers.readLine();
    if (ready == null || !ready.startsWith("{")) {
      peer.close();
      throw new IOException(refusal);
    }
    return peer;
  }

  /**
   * The command that runs a script of the project, which gets the device as its argument: on the
   * CPU by Debian's Python, which has its PyTorch, on a card by the user's {@code python3}.
   *
   * @param device "cpu" or "cuda"
   * @throws IOException if the script is not found
   */
  public static List<String> python(String script, String device) throws IOException {
    Path file =
        NativeBuild.projectFile(script)
            .orElseThrow(() -> new IOException(script + " not found above the native library"));
    boolean debians = device.equals("cpu") && Files.isExecutable(DEBIAN_PYTHON);
    String python = debians ? DEBIAN_PYTHON.toString() : "python3";
    return List.of(python, "-B", file.toString(), device); // -B: writes no files beside scripts
  }

  /** Its number in the system. */
  public long pid() {
    return process.pid();
  }

  /**
   * The answer to what is sent as one line of JSON.
   *
   * @throws IOException with a sentence if the peer failed or ended
   */
  public JsonNode ask(Object question) throws IOException {
    String answer = null;
    try {
      questions.write(JsonMapper.shared().writeValueAsString(question));
      questions.newLine();
      questions.flush();
      answer = answers.readLine();
    } catch (IOException _) {
      // a broken pipe: it has ended
    }
    if (answer == null) {
      throw new IOException("the peer " + label + " ended: not enough memory, perhaps");
    }
    JsonNode node;
    try {
      node = JsonMapper.shared().readTree(answer);
    } catch (JacksonException e) {
      throw new IOException("the peer " + label + " answered what is not JSON: " + answer, e);
    }
    if (node.has("error")) {
      throw new IOException("the peer " + label + " failed: " + node.get("error").asString());
    }
    return node;
  }

  @Override
  public void close() {
    process.destroy();
  }
}
