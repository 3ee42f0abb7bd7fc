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

/** A peer's process, which answers each line of JSON with one line. Used by one thread. */
public final class PeerProcess implements AutoCloseable {
  /** Debian's Python, which has python3-torch; the path may have another Python first. */
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
   * Starts {@code command} and waits for its ready line.
   *
   * @param advice for the error message if it exits instead
   */
  public static PeerProcess start(String label, List<String> command, String advice)
      throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD);
    // If mpirun started this process, a peer's own mpirun must not inherit its variables.
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
   * The command that runs a Python script of the project with the device as argument. The CPU uses
   * Debian's Python and PyTorch, a GPU the user's {@code python3}.
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

  /** The process id. */
  public long pid() {
    return process.pid();
  }

  /**
   * Sends one line of JSON; returns the response.
   *
   * @throws IOException if the peer failed or ended
   */
  public JsonNode ask(Object question) throws IOException {
    String answer = null;
    try {
      questions.write(JsonMapper.shared().writeValueAsString(question));
      questions.newLine();
      questions.flush();
      answer = answers.readLine();
    } catch (IOException _) {
      // a broken pipe: the peer has ended
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
