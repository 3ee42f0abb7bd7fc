package panamoe.harness;

import java.nio.file.Path;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.open.NamedAdapters;
import picocli.CommandLine.Option;

/** The option for an adapter of a model: {@code @Mixin AdapterOption adapter}. */
public final class AdapterOption {
  @Option(
      names = "--lora",
      paramLabel = "PATH",
      description =
          "An adapter of the model: a run of train --lora, a folder of PEFT, or a GGUF file of llama.cpp (docs/adapters.md).")
  private Path path;

  /**
   * The settings with the adapter.
   *
   * @throws panamoe.checkpoint.CheckpointException if it is damaged, or of another model
   */
  public InferenceSettings with(InferenceSettings settings, ModelFolder folder) {
    return path == null ? settings : settings.with(NamedAdapters.ofAll(folder, path));
  }
}
