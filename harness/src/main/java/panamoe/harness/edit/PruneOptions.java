package panamoe.harness.edit;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntUnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.backend.Backend;
import panamoe.comm.SelfCommunicator;
import panamoe.config.ModelConfig;
import panamoe.data.Corpus;
import panamoe.data.TokenWindows;
import panamoe.edit.Edit;
import panamoe.edit.EditedModel;
import panamoe.edit.ExpertReduction;
import panamoe.edit.ExpertSaliency;
import panamoe.eval.TextEvaluator;
import panamoe.harness.SharedOptions;
import panamoe.io.Require;
import panamoe.op.RouteObserver;
import panamoe.open.ModelFolder;
import panamoe.train.LoadMeter;
import picocli.CommandLine.Option;

/** How many experts are pruned, and which. */
final class PruneOptions {
  private static final Pattern AMOUNT = Pattern.compile("(\\d{1,9})(%?)");

  /** What an expert is kept for. */
  enum By {
    LOAD,
    REAP
  }

  @Option(
      names = "--prune-experts",
      paramLabel = "N|P%",
      description =
          "Remove N experts, or P percent of them, of each MoE layer: those that --by scores lowest.")
  private String experts;

  @Option(
      names = "--by",
      paramLabel = "SCORE",
      description = {
        "With --prune-experts: load, how many tokens are routed to an expert (the default), or reap, the mean over"
            + " these tokens of the route's weight times the norm of the expert's output."
      })
  private By by;

  @Option(
      names = "--calibrate",
      paramLabel = "PATH",
      description =
          "With --prune-experts: a UTF-8 file, or a folder of them, that the scores are of. Default: the text measured on.")
  private Path calibrate;

  /** The operation's value; null if nothing is pruned. */
  String experts() {
    return experts;
  }

  void requireNoneWithoutPruning(SharedOptions shared) {
    shared.require(
        experts != null || by == null && calibrate == null,
        "--by and --calibrate go with --prune-experts only");
  }

  /** The number of experts removed from a layer; a percentage is rounded to the nearest. */
  private IntUnaryOperator removal() {
    Matcher amount = AMOUNT.matcher(experts);
    Require.that(
        amount.matches(),
        "--prune-experts is %s, expected a number of experts, or a percentage like 25%%",
        experts);
    int number = Integer.parseInt(amount.group(1));
    boolean percent = !amount.group(2).isEmpty();
    return all -> percent ? Math.toIntExact(Math.round((double) number * all / 100)) : number;
  }

  ModelConfig config(ModelConfig before) {
    return ExpertReduction.pruned(before, removal());
  }

  /** The windows of the text that is given for the scores; null without one. */
  TokenWindows calibration(ModelFolder folder, int length) {
    return calibrate == null
        ? null
        : new TokenWindows(
            Corpus.read(calibrate).tokens(folder.tokenizer()), folder.tokenizer(), length);
  }

  /** Collects the scores of a model's experts. */
  final class Scoring {
    private final Backend backend;
    private final TokenWindows calibration;
    private final LoadMeter meter;
    private final ExpertSaliency saliency;

    /**
     * @param calibration null if the scores are of the measured text
     */
    Scoring(Backend backend, TokenWindows calibration) {
      this.backend = backend;
      this.calibration = calibration;
      this.meter = by == By.REAP ? null : new LoadMeter(backend);
      this.saliency = by == By.REAP ? new ExpertSaliency(backend) : null;
    }

    private RouteObserver observer() {
      return meter == null ? saliency : meter;
    }

    /** The observer of the measurement. */
    RouteObserver ofMeasurement() {
      return calibration == null ? observer() : RouteObserver.NONE;
    }

    /** Runs the model over the calibration text, if there is one. */
    void calibrate(EditedModel model) {
      if (calibration != null) {
        new TextEvaluator(backend, model.model()).measure(calibration, observer());
      }
    }

    /** Routes to each expert by layer. */
    Map<Integer, long[]> loads() {
      Map<Integer, long[]> loads = new TreeMap<>();
      meter.take(SelfCommunicator.WORLD).forEach(load -> loads.put(load.layer(), load.counts()));
      return loads;
    }

    Edit prune(ModelConfig before) {
      if (meter == null) {
        return ExpertReduction.prune(before, removal(), saliency.scores());
      }
      Map<Integer, double[]> scores = new TreeMap<>();
      loads()
          .forEach(
              (layer, counts) ->
                  scores.put(layer, Arrays.stream(counts).asDoubleStream().toArray()));
      return ExpertReduction.prune(before, removal(), scores);
    }
  }
}
