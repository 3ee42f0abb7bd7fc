package panamoe.train;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import panamoe.io.ConfigJson;
import panamoe.io.SafeFolder;
import tools.jackson.databind.json.JsonMapper;

/** The {@code history.json} of a run: an entry for each process that trained it, in order. */
public record History(SafeFolder run) {
  static final String NAME = "history.json";

  private static final JsonMapper JSON = JsonMapper.shared();

  /**
   * Processes until now; none before the first.
   *
   * @throws IllegalArgumentException if the file is there and is no history
   */
  public List<TrainingProcess> processes() throws IOException {
    if (!run.has(NAME)) {
      return List.of();
    }
    return ConfigJson.list(run.file(NAME), TrainingProcess.class);
  }

  /**
   * Adds a process.
   *
   * @throws IllegalArgumentException as {@link #processes} throws it
   */
  public void add(TrainingProcess process) throws IOException {
    List<TrainingProcess> processes = new ArrayList<>(processes());
    processes.add(process);
    byte[] content =
        JSON.writerWithDefaultPrettyPrinter()
            .writeValueAsString(processes)
            .getBytes(StandardCharsets.UTF_8);
    run.replace(NAME, content);
  }
}
