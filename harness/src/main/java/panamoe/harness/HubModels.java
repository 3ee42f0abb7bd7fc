package panamoe.harness;

import java.nio.file.Path;
import java.util.Optional;
import java.util.function.BiFunction;
import panamoe.open.hub.Hub;
import panamoe.open.hub.HubSettings;
import panamoe.open.hub.ModelName;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** Finds models that are given by name: {@code @Mixin HubModels named}. */
public final class HubModels {
  @Option(
      names = "--offline",
      description = "Do not fetch a model that is given by name: it must be whole in the cache.")
  private boolean offline;

  /**
   * The path of a model; that of its files if it is given by name, which are fetched unless they
   * are in the cache.
   *
   * @param command on whose standard error the use of the network is said, and its progress shown
   * @throws ParameterException if it begins like a name but is not a name
   */
  public Path local(Path given, CommandSpec command) {
    return name(given.toString(), command)
        .map(name -> with(command, name, Hub::open))
        .orElse(given);
  }

  /** Like {@link #local}, but of weights that are not in the cache none are fetched. */
  public Path described(Path given, CommandSpec command) {
    return name(given.toString(), command)
        .map(name -> with(command, name, Hub::described))
        .orElse(given);
  }

  /** Asks the hub for a model, and fetches what is missing. */
  public Path pull(String text, CommandSpec command) {
    ModelName name =
        name(text, command)
            .orElseThrow(
                () ->
                    new ParameterException(
                        command.commandLine(),
                        "'" + text + "' is a path, expected a name such as hf:OWNER/REPO:Q4_K_M"));
    return with(command, name, Hub::pull);
  }

  /** The name that a text is; empty for a path. */
  public static Optional<ModelName> name(String text, CommandSpec command) {
    try {
      return ModelName.in(text);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  private Path with(CommandSpec command, ModelName name, BiFunction<Hub, ModelName, Path> action) {
    HubSettings settings = HubSettings.of(System.getenv());
    try (Shown shown = new Shown(command)) {
      return action.apply(new Hub(offline ? settings.withoutNetwork() : settings, shown), name);
    }
  }

  private static final class Shown implements Hub.Watch, AutoCloseable {
    private final CommandSpec command;
    private PartBar bar;

    Shown(CommandSpec command) {
      this.command = command;
    }

    @Override
    public void says(String sentence) {
      command.commandLine().getErr().println(sentence);
      command.commandLine().getErr().flush();
    }

    @Override
    public void has(long bytes, long all) {
      if (bar == null) {
        bar = PartBar.onStandardError("fetching", all);
      }
      bar.accept((double) bytes / Math.max(1, all));
    }

    @Override
    public void close() {
      if (bar != null) {
        bar.close();
      }
    }
  }
}
