package panamoe.harness.train;

import java.util.Arrays;
import java.util.List;
import panamoe.config.AdapterConfig;
import panamoe.harness.help.OptionGroup;
import panamoe.io.Require;
import picocli.CommandLine.Option;

/** The options of low-rank adapters: {@code @Mixin AdapterOptions adapters}. */
@OptionGroup("Adapters")
public final class AdapterOptions {
  /** Their names, without the rank's. */
  public static final List<String> NAMES =
      List.of("--targets", "--lora-alpha", "--lora-dropout", "--lora-rs");

  @Option(
      names = "--lora",
      paramLabel = "R",
      description =
          "Train low-rank adapters of rank R, and leave the model as it is, in the blocks of its"
              + " files.")
  private Integer rank;

  @Option(
      names = "--targets",
      paramLabel = "LIST",
      defaultValue = "all",
      description =
          "The matrices with adapters: attention, dense, shared, experts (all: these four), router,"
              + " head, or names as layers.*.attention.query. Default: ${DEFAULT-VALUE}.")
  private String targets;

  @Option(
      names = "--lora-alpha",
      paramLabel = "A",
      description = "Scale of an adapter's product, times 1 / R. Default: 2 R.")
  private Double alpha;

  @Option(
      names = "--lora-dropout",
      paramLabel = "P",
      defaultValue = "0",
      description =
          "Share of the inputs that adapters do not see in training. Default: ${DEFAULT-VALUE}.")
  private double dropout;

  @Option(
      names = "--lora-rs",
      description = "Scale by A / sqrt(R), which stays the same size for large R.")
  private boolean rankStabilised;

  /**
   * The wanted adapters; null: none.
   *
   * @throws IllegalArgumentException if an option is out of range
   */
  public AdapterConfig config() {
    if (rank == null) {
      return null;
    }
    Require.that(rank >= 1, "--lora is %s, expected a rank of 1 or more", rank);
    return new AdapterConfig(
        rank,
        alpha == null ? 2.0 * rank : alpha,
        rankStabilised,
        dropout,
        Arrays.stream(targets.split(",")).map(String::strip).toList());
  }
}
