package panamoe.harness.doctor;

import java.io.PrintWriter;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import panamoe.harness.Subcommand;
import panamoe.harness.corpus.EuroparlCorpus;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/**
 * Prints what this machine has, what it lacks, and what to do about it. Exits with 1 if something
 * required is missing.
 */
@Command(
    name = "doctor",
    mixinStandardHelpOptions = true,
    description = "Shows what this machine has, what it lacks, and what to do about it.",
    footer = {
      "",
      "Examples:",
      "  panamoe doctor",
      "  panamoe doctor --json",
      "",
      "Marks: ok: found; --: missing, optional; !!: missing, required."
    })
public final class DoctorCommand implements Subcommand {
  @Spec private CommandSpec spec;

  @Option(names = "--json", description = "Print the result as a JSON object.")
  private boolean json;

  @Override
  public Integer call() {
    List<Finding> findings =
        Stream.of(
                MachineCheck.findings(),
                NativeCheck.findings(),
                List.of(Finding.fact("default corpus", EuroparlCorpus.ATTRIBUTION)))
            .flatMap(List::stream)
            .toList();
    boolean ready = findings.stream().noneMatch(Finding::fatal);
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(
          JsonMapper.shared()
              .writerWithDefaultPrettyPrinter()
              .writeValueAsString(Map.of("ready", ready, "findings", findings)));
    } else {
      Ansi terminal = spec.commandLine().getColorScheme().ansi();
      findings.forEach(finding -> out.println(finding.describe(terminal)));
      out.println(
          ready ? "This machine is ready." : "This machine is not ready: see the lines marked !!");
    }
    return ready ? 0 : 1;
  }
}
