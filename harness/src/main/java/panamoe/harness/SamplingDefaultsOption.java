package panamoe.harness;

import panamoe.harness.help.OptionGroup;
import panamoe.open.ModelFolder;
import panamoe.open.SamplingDefaults;
import picocli.CommandLine.Option;

/** Whether to sample with a released model's generation_config.json: {@code @Mixin}. */
@OptionGroup("Generation")
public final class SamplingDefaultsOption {
  @Option(
      names = "--ignore-generation-config",
      description =
          "Do not take temperature, top-k, top-p, min-p and repetition penalty from a released model's "
              + "generation_config.json.")
  private boolean ignored;

  /** The publisher's defaults, or none. */
  public SamplingDefaults of(ModelFolder folder) {
    return ignored ? SamplingDefaults.NONE : folder.tokenizerFiles().sampling();
  }
}
