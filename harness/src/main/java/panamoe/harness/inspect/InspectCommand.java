package panamoe.harness.inspect;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import panamoe.harness.SharedOptions;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code panamoe inspect}. */
@Command(
    name = "inspect",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Prints a model as a table: layers, experts, parameters by part. Reads the configuration, no weights.",
    footer = {
      "",
      "Examples:",
      "  panamoe inspect novels                      a run's latest checkpoint",
      "  panamoe inspect novels --memory             and the memory that training it takes",
      "  panamoe inspect novels --verify             and compares every file's checksum",
      "  panamoe inspect config.json --memory        a model that is not yet trained",
      "",
      "--device, --threads and --seed, which every command takes, change nothing that is shown."
    })
public final class InspectCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private SharedOptions shared;

  @Parameters(
      paramLabel = "MODEL",
      description = "A run's folder, a checkpoint, or a config.json as train --config takes it.")
  private Path path;

  @Option(names = "--memory", description = "Predict the memory of training, by kind.")
  private boolean memory;

  @Option(names = "--verify", description = "Compare the checksum of every file with the manifest.")
  private boolean verify;

  @Override
  public Integer call() {
    boolean config = Files.isRegularFile(path);
    if (config && verify) {
      throw new ParameterException(
          spec.commandLine(), "--verify is for a checkpoint, and " + path + " is a config");
    }
    ModelTable table = config ? ModelTable.ofConfig(path) : ModelTable.ofCheckpoint(path, verify);
    PrintWriter out = spec.commandLine().getOut();
    if (shared.json()) {
      out.println(table.toJson(memory));
      return 0;
    }
    out.print(table.toText());
    if (memory) {
      out.print(table.memory().toText());
    }
    if (verify) {
      out.printf(Locale.ROOT, "all files agree with the manifest%n");
    }
    return 0;
  }
}
