package panamoe.harness.report;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import panamoe.harness.report.StepRecord.LayerRecord;
import panamoe.io.Words;
import panamoe.model.LanguageModel;
import panamoe.param.Parameter;
import panamoe.train.RunConfig;

/**
 * What a run of adapters trained.
 *
 * @param trained parameters of the adapters
 * @param held parameters of the model
 * @param experts whether experts have adapters
 * @param unreached experts that no token chose, so that their adapters got no gradient: a clause
 *     for each layer with such experts
 */
public record AdaptedParts(long trained, long held, boolean experts, List<String> unreached) {
  /** Of a run, over all its steps; null if it trains a whole model. */
  public static AdaptedParts of(RunDirectory run) {
    if (run.config().adapters() == null) {
      return null;
    }
    try (LanguageModel model = model(run.config())) {
      long trained = trained(model);
      boolean experts =
          model.parameters().parameters().stream()
              .anyMatch(each -> each.adapter() != null && each.part() == Parameter.Part.EXPERT);
      return new AdaptedParts(
          trained,
          model.parameters().count() - trained,
          experts,
          experts ? unreached(run.steps()) : List.of());
    }
  }

  /** The parameters of a run in words. */
  public static String counted(RunConfig config) {
    try (LanguageModel model = model(config)) {
      long trained = trained(model);
      long held = model.parameters().count() - trained;
      return config.adapters() == null
          ? Words.of("%,d parameters", held)
          : Words.of("%,d parameters, %,d trained in adapters", held, trained);
    }
  }

  private static LanguageModel model(RunConfig config) {
    return new LanguageModel(config.model()).adapted(config.adapters());
  }

  private static long trained(LanguageModel model) {
    return model.parameters().parameters().stream()
        .filter(each -> each.role() == Parameter.Role.ADAPTER)
        .mapToLong(Parameter::count)
        .sum();
  }

  private static List<String> unreached(List<StepRecord> steps) {
    List<String> clauses = new ArrayList<>();
    for (int i = 0; i < steps.getLast().layers().size(); i++) {
      int index = i;
      LayerRecord layer = steps.getLast().layers().get(i);
      List<String> experts =
          IntStream.range(0, layer.experts())
              .filter(
                  e -> steps.stream().allMatch(it -> it.layers().get(index).counts().get(e) == 0))
              .mapToObj(Integer::toString)
              .toList();
      if (!experts.isEmpty()) {
        clauses.add(
            Words.of(
                "layer %s expert%s %s",
                layer.layer(), experts.size() == 1 ? "" : "s", String.join(", ", experts)));
      }
    }
    return clauses;
  }

  /** The experts without a gradient in a sentence; empty if the adapters are not of experts. */
  String gradients() {
    return !experts
        ? ""
        : unreached.isEmpty()
            ? "every expert got a gradient"
            : unreached.stream().collect(Collectors.joining("; ", "no gradient got ", ""));
  }

  @Override
  public String toString() {
    String counts = Words.of("adapters: %,d parameters trained, %,d held", trained, held);
    return experts ? counts + System.lineSeparator() + gradients() : counts;
  }
}
