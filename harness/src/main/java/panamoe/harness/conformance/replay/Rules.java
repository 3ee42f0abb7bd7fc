package panamoe.harness.conformance.replay;

import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;

/**
 * Gate settings in the words of the peers that have no {@link panamoe.config.GateConfig} of their
 * own.
 */
public final class Rules {
  private Rules() {}

  /** Every token to its k best, nothing dropped. */
  public static GateSettings dropless(int topK, Score score, Normalization normalization) {
    GateSettings plain = GateSettings.dropless(topK);
    return new GateSettings(
        topK,
        score,
        plain.dropPolicy(),
        plain.queueOrder(),
        normalization,
        plain.capacity(),
        plain.groups(),
        plain.chosenGroups(),
        plain.groupScore(),
        plain.auxiliaryChoices(),
        plain.noiseFirstChoice(),
        plain.normalizationEpsilon(),
        plain.denominatorOffset(),
        plain.weightScale());
  }

  /** The same with the first {@code capacity} routes of an expert's queue kept. */
  public static GateSettings withCapacity(GateSettings rules, QueueOrder order, long capacity) {
    return new GateSettings(
        rules.topK(),
        rules.score(),
        DropPolicy.POSITION,
        order,
        rules.normalization(),
        capacity,
        rules.groups(),
        rules.chosenGroups(),
        rules.groupScore(),
        rules.auxiliaryChoices(),
        rules.noiseFirstChoice(),
        rules.normalizationEpsilon(),
        rules.denominatorOffset(),
        rules.weightScale());
  }

  /** The same with experts chosen within the best groups. */
  public static GateSettings withGroups(
      GateSettings rules, int groups, int chosenGroups, GroupScore score) {
    return new GateSettings(
        rules.topK(),
        rules.score(),
        rules.dropPolicy(),
        rules.queueOrder(),
        rules.normalization(),
        rules.capacity(),
        groups,
        chosenGroups,
        score,
        rules.auxiliaryChoices(),
        rules.noiseFirstChoice(),
        rules.normalizationEpsilon(),
        rules.denominatorOffset(),
        rules.weightScale());
  }

  /**
   * The same with weights {@code scale * score / (sum + offset)}, or {@code scale * score} where
   * they are raw.
   */
  public static GateSettings withWeights(GateSettings rules, double offset, double scale) {
    return new GateSettings(
        rules.topK(),
        rules.score(),
        rules.dropPolicy(),
        rules.queueOrder(),
        rules.normalization(),
        rules.capacity(),
        rules.groups(),
        rules.chosenGroups(),
        rules.groupScore(),
        rules.auxiliaryChoices(),
        rules.noiseFirstChoice(),
        0,
        (float) offset,
        (float) scale);
  }

  /**
   * The same with noise from the given choice on, and the auxiliary loss over the first choice
   * alone.
   */
  public static GateSettings withFirstChoiceLoss(GateSettings rules, int noiseFirstChoice) {
    return new GateSettings(
        rules.topK(),
        rules.score(),
        rules.dropPolicy(),
        rules.queueOrder(),
        rules.normalization(),
        rules.capacity(),
        rules.groups(),
        rules.chosenGroups(),
        rules.groupScore(),
        1,
        noiseFirstChoice,
        rules.normalizationEpsilon(),
        rules.denominatorOffset(),
        rules.weightScale());
  }
}
