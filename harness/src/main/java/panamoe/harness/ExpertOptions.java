package panamoe.harness;

import java.nio.file.Path;
import java.util.List;
import panamoe.harness.help.OptionGroup;
import panamoe.io.ByteSize;
import panamoe.io.Require;
import panamoe.open.ExpertHeat;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** The options for the experts of a model: {@code @Mixin ExpertOptions experts}. */
@OptionGroup("Experts")
public final class ExpertOptions {
  /** Parses a number of bytes. */
  static final class Size implements ITypeConverter<Long> {
    @Override
    public Long convert(String text) {
      try {
        return ByteSize.parse(text);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }

  @Option(
      names = "--memory",
      paramLabel = "SIZE",
      converter = Size.class,
      description =
          "Most memory for weights, such as 512m or 1.5g. Experts beyond it stay on the disk, in a file that is written once, and are read when they are needed (docs/experts.md). Default: all weights are in memory.")
  private Long memory;

  @Option(
      names = "--expert-cache",
      paramLabel = "DIR",
      description =
          "The folder of that file. Default: panamoe/experts in the user's cache folder. Where this or --memory is given, serve keeps there how often each expert was chosen.")
  private Path folder;

  @Option(
      names = "--experts-per-token",
      paramLabel = "K",
      split = ",",
      description =
          "Experts that a token is sent to, 1 to what the model was trained with: a number, or one for each MoE layer, such as 8,8,4. Default: as trained.")
  private List<Integer> topK; // null if not given

  /** Experts per token, for each layer or for all; empty for the trained number. */
  public List<Integer> topK() {
    return topK == null ? List.of() : topK;
  }

  /**
   * Checks the experts per token.
   *
   * @throws IllegalArgumentException if they do not fit the model
   */
  public void requireFit(ModelFolder model) {
    settings(WeightTypes.of(DType.FLOAT32)).config(model.config());
  }

  /**
   * The settings for loading a model.
   *
   * @throws IllegalArgumentException if experts per token are given without a number
   */
  public InferenceSettings settings(WeightTypes types) {
    Require.that(topK == null || !topK.isEmpty(), "--experts-per-token has no number");
    return new InferenceSettings(types, memory == null ? Long.MAX_VALUE : memory, folder(), topK());
  }

  private Path folder() {
    return folder == null
        ? InferenceSettings.usersExperts(System.getenv())
        : folder.toAbsolutePath();
  }

  /** The file of expert counts; null if they are not kept. */
  public ExpertHeat heat(ModelFolder model) {
    boolean kept = (memory != null || folder != null) && folder() != null;
    return kept && model.config().hasExperts() ? new ExpertHeat(folder(), model) : null;
  }
}
