package panamoe.harness.probe;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.json.JsonMapper;

/**
 * The machine's current ceilings. A CPU's bandwidth is measured at each call, within a few
 * hundredths of a second, because shared memory changes its speed from second to second. Its
 * arithmetic rates are the highest measured so far. A GPU's ceilings are measured once.
 */
public final class Roofline implements AutoCloseable {
  private static final Map<String, String> PROGRAMS =
      Map.of("cpu", "ceilings_bench", "cuda", "cuda_ceilings_bench");

  private final boolean watches;
  private final Process program; // null where ceilings are not known
  private final BufferedReader answers;
  private final Writer questions;
  private Ceilings highest;

  /**
   * Starts the program and measures thoroughly once.
   *
   * @param device its name
   * @param threads of the program
   * @param realTime whether to measure at real-time priority
   */
  public Roofline(String device, int threads, boolean realTime) throws IOException {
    Optional<Path> path =
        known(device) ? NativeBuild.sibling(PROGRAMS.get(device)) : Optional.empty();
    watches = device.equals("cpu");
    if (path.isEmpty()) {
      program = null;
      answers = null;
      questions = null;
      highest = null;
      return;
    }
    List<String> command = new ArrayList<>(realTime ? List.of("chrt", "--fifo", "10") : List.of());
    command.addAll(List.of(path.get().toString(), Integer.toString(threads)));
    if (watches) {
      command.add("--watch");
    }
    program = new ProcessBuilder(command).redirectErrorStream(true).start();
    answers = program.inputReader();
    questions = program.outputWriter();
    highest = answer();
  }

  /** Whether a device has ceilings; plain Java and the emulation have none. */
  public static boolean known(String device) {
    return PROGRAMS.containsKey(device);
  }

  /** The highest of each rate so far; null if ceilings are unknown. */
  public Ceilings highest() {
    return highest;
  }

  /** The current ceilings; null if they are unknown. */
  public Ceilings now() throws IOException {
    if (highest == null || !watches) {
      return highest;
    }
    try {
      questions.write('\n');
      questions.flush();
    } catch (IOException e) {
      throw new IOException("the program that measures ceilings ended while it was needed", e);
    }
    Ceilings now = answer();
    highest = highest.higher(now);
    return highest.reading(now.readGbytesPerS());
  }

  private Ceilings answer() throws IOException {
    String line = answers.readLine();
    if (line == null || !line.startsWith("{")) {
      throw new IOException(
          "the program that measures ceilings failed" + (line == null ? "" : ": " + line));
    }
    return JsonMapper.shared().readValue(line, Ceilings.class);
  }

  @Override
  public void close() {
    if (program != null) {
      program.destroy();
    }
  }
}
