package panamoe.harness.conformance;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import panamoe.backend.Backend;
import panamoe.harness.SharedOptions;
import panamoe.harness.conformance.replay.CaseResult;
import panamoe.harness.conformance.replay.Comparison;
import panamoe.harness.conformance.replay.Conformance;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * Replays recorded results of other implementations. Exit code 1 when a case fails or there is
 * none.
 */
@Command(
    name = "conformance",
    mixinStandardHelpOptions = true,
    description = {
      "Replays recorded inputs of other MoE implementations and compares every output and gradient.",
      "Prints a line for each case and, last, how many passed and failed."
    },
    footer = {
      "",
      "Example:",
      "  panamoe conformance harness/src/test/resources/golden/ds_gating --device cpu",
      "",
      "See docs/conformance.md."
    })
public final class ConformanceCommand implements Callable<Integer> {
  private static final ObjectMapper JSON = new ObjectMapper();

  @Spec private CommandSpec spec;
  @Mixin private SharedOptions shared;

  @Parameters(
      paramLabel = "DIR",
      description = "Folder with recorded cases (*.safetensors), searched through.")
  private Path folder;

  @Override
  public Integer call() throws IOException, InterruptedException {
    PrintWriter out = spec.commandLine().getOut();
    List<Path> cases = Conformance.cases(folder);
    if (cases.isEmpty()) {
      throw new IllegalArgumentException(folder + " holds no recorded case (*.safetensors)");
    }
    int passed = 0;
    int skipped = 0;
    try (Backend backend = shared.open()) {
      Conformance conformance = new Conformance(folder, backend, CaseKinds.BY_OP);
      for (Path file : cases) {
        CaseResult result = conformance.replay(file);
        if (Thread.currentThread().isInterrupted()) {
          throw new InterruptedException();
        }
        passed += result.passed() ? 1 : 0;
        skipped += result.skipped().isEmpty() ? 0 : 1;
        out.println(shared.json() ? json(result, backend.name()) : result.line());
        out.flush();
      }
    }
    int failed = cases.size() - passed - skipped;
    out.println(
        shared.json()
            ? JSON.writeValueAsString(
                Map.of("passed", passed, "failed", failed, "skipped", skipped))
            : passed
                + " passed, "
                + failed
                + " failed"
                + (skipped == 0 ? "" : ", " + skipped + " skipped"));
    out.flush();
    return failed == 0 ? ExitCode.OK : ExitCode.SOFTWARE;
  }

  private static String json(CaseResult result, String backend) throws JsonProcessingException {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("name", result.name());
    line.put("device", backend);
    line.put("passed", result.passed());
    line.put("max_abs_error", result.largestError());
    line.put("max_abs_error_in", result.largestErrorIn());
    line.put("tolerance", Comparison.TOLERANCE);
    line.put("failures", result.failures());
    line.put("notes", result.notes());
    if (!result.skipped().isEmpty()) {
      line.put("skipped", result.skipped());
    }
    return JSON.writeValueAsString(line);
  }
}
