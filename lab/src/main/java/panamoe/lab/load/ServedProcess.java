package panamoe.lab.load;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import panamoe.harness.Main;
import tools.jackson.databind.json.JsonMapper;

/** {@code panamoe serve} in a separate process. */
final class ServedProcess implements AutoCloseable {
  private static final int DRAIN_SECONDS = 60;

  private final Process process;
  private final String url;

  /**
   * Starts it and waits until it serves. Its stderr is inherited.
   *
   * @param options of {@code serve} after the model
   * @throws IOException if it ends before it serves
   */
  ServedProcess(Path model, List<String> options) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(ProcessHandle.current().info().command().orElse("java"));
    command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
    command.addAll(List.of("serve", model.toString(), "--port", "0", "--json"));
    command.addAll(options);
    process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String line = process.inputReader().readLine();
    if (line == null) {
      process.destroy();
      throw new IOException("the server ended before it served " + model);
    }
    url = JsonMapper.shared().readTree(line).path("url").asString("");
  }

  String url() {
    return url;
  }

  /** Stops the server after its open requests. */
  @Override
  public void close() {
    process.destroy();
    try {
      if (!process.waitFor(DRAIN_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }
}
