package panamoe.harness;

import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import panamoe.config.ModelConfig;
import panamoe.engine.routes.RouteFile;
import panamoe.engine.schedule.Engine;
import panamoe.harness.help.OptionGroup;
import panamoe.io.DataException;
import picocli.CommandLine.Option;

/** Whether the experts of sequences are recorded: {@code @Mixin RouteLogOption}. */
@OptionGroup("Experts")
public final class RouteLogOption {
  @Option(
      names = "--log-routes",
      paramLabel = "FILE",
      description =
          "Append the experts of each sequence's tokens to FILE, for train --routes (docs/routes.md).")
  private Path path;

  /** Refuses models without routes to record. */
  public void requireFit(SharedOptions shared, ModelConfig config) {
    shared.require(
        path == null || config.hasExperts() && config.encoder() == null,
        "--log-routes is for decoders with MoE layers, this model has %s",
        config.encoder() == null ? "none" : "an encoder");
  }

  /**
   * Opens the file to append to; null without the option.
   *
   * @param config of the model, with the experts per token that it runs with
   */
  public RouteFile open(ModelConfig config) {
    return path == null ? null : RouteFile.append(path, config);
  }

  /**
   * Records an engine's sequences.
   *
   * @param file null: none
   * @param warn gets the first failure; the sequences of failures are not in the file
   */
  public static void record(Engine engine, RouteFile file, Consumer<String> warn) {
    if (file == null) {
      return;
    }
    AtomicBoolean warned = new AtomicBoolean();
    engine.record(
        routes -> {
          try {
            file.append(routes);
          } catch (DataException e) {
            if (!warned.getAndSet(true)) {
              warn.accept(
                  "warning: " + e.getMessage() + "; sequences are not recorded while it is so");
            }
          }
        });
  }
}
