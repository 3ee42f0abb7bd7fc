package panamoe.harness.embed;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.harness.SharedOptions;
import panamoe.harness.WeightPrecision;
import panamoe.model.LanguageModel;
import panamoe.open.InferenceMemory;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options for a model that reads texts: {@code @Mixin ReadingOptions reading}. */
final class ReadingOptions {
  private static final int USUAL = 8192;

  @Option(
      names = "--context",
      paramLabel = "N",
      description =
          "Tokens of the longest text, with those around it. Default: the model's context, at most 8192.")
  private Integer context;

  @Mixin private WeightPrecision weights;

  /** Code that uses a loaded model. */
  interface Body {
    void run(Backend backend, LanguageModel model);
  }

  /**
   * The model for texts of this length.
   *
   * @throws IllegalArgumentException if it is not 1 to the model's context
   */
  ModelFolder of(ModelFolder opened) {
    return opened.withContext(
        context == null ? Math.min(USUAL, opened.config().context()) : context);
  }

  /** Loads the model, runs the body, and frees the model. */
  void run(SharedOptions shared, ModelFolder folder, Body body) {
    WeightTypes types = weights.types(folder);
    PrintWriter err = shared.err();
    try (Backend backend = shared.open()) {
      InferenceMemory.of(
              folder.config(), types, types.compute(), folder.config().context(), backend.onHost())
          .requireFits(folder.path(), backend.memoryAvailable());
      List<String> warnings = new ArrayList<>();
      try (LanguageModel model = folder.load(backend, InferenceSettings.of(types), warnings)) {
        warnings.forEach(each -> err.println("warning: " + each));
        err.flush();
        body.run(backend, model);
      }
    }
  }
}
