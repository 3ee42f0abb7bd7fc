package panamoe.harness.train;

import java.util.List;
import panamoe.config.ModelPresets.Architecture;
import panamoe.io.Require;
import picocli.CommandLine.Option;

/** The options that replace settings of a preset: {@code @Mixin ChosenSettings settings}. */
final class ChosenSettings {
  static final List<String> NAMES =
      List.of("--lr", "--batch", "--context", "--experts", "--evaluate-every", "--patience");

  @Option(
      names = "--lr",
      paramLabel = "R",
      description =
          "Peak of the learning rate, which falls to a tenth: training.learningRate and finalLearningRate.")
  private Double rate;

  @Option(
      names = "--batch",
      paramLabel = "N",
      description = "Sequences of a step, over all ranks: training.batch.")
  private Integer batch;

  @Option(
      names = "--context",
      paramLabel = "N",
      description =
          "Tokens of a sequence: training.sequence, and the model's context where that is less.")
  private Integer context;

  @Option(
      names = "--experts",
      paramLabel = "N",
      description =
          "Experts of an MoE layer: experts in model.blocks. In pyramid and pr-moe the last third of these"
              + " layers, at least one, has twice as many. Default of these four: the preset's.")
  private Integer experts;

  @Option(
      names = "--evaluate-every",
      paramLabel = "N",
      description = "Steps between validations: training.evaluateEvery.")
  private Integer evaluateEvery;

  @Option(
      names = "--patience",
      paramLabel = "N",
      description =
          "End after N validations in a row without a better one, and keep the best checkpoint, which generate and the other commands then open; --resume goes on from the last: training.patience.")
  private Integer patience;

  /**
   * @param steps null for the preset's
   * @throws IllegalArgumentException if an option is out of range
   */
  Presets.Chosen with(Integer steps) {
    return new Presets.Chosen(steps, batch, context, rate, experts, evaluateEvery, patience);
  }

  /**
   * Refuses {@code --experts} for a dense model.
   *
   * @throws IllegalArgumentException that names the option
   */
  void requireExperts(Architecture architecture) {
    Require.that(
        experts == null || architecture != Architecture.DENSE,
        "--experts is for every --arch but dense; dense has no MoE layer");
  }
}
