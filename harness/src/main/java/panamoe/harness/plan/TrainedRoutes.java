package panamoe.harness.plan;

import java.nio.file.Path;
import panamoe.backend.Backend;
import panamoe.data.Corpus;
import panamoe.data.TokenWindows;
import panamoe.data.Tokens;
import panamoe.eval.TextEvaluator;
import panamoe.harness.SharedOptions;
import panamoe.harness.train.TrainingText;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;

/** Routes the tokens of a text by a trained model's gate. */
record TrainedRoutes(ModelFolder trained, SharedOptions shared) {

  /**
   * Reads the text from its start; each data rank gets the next tokens. No route is dropped.
   *
   * @param text null for the validation part of the model's training text
   * @return rows from each data rank to each expert
   * @throws IllegalArgumentException if the trained layer has another number of experts, or the
   *     text is too short
   */
  long[][] of(SimulatedStep step, Path text) {
    SimulatedLayer layer = step.layer();
    SimulatedLayer own =
        SimulatedLayer.of(trained.path().toString(), trained.config(), layer.number());
    if (own.experts() != layer.experts() || own.topK() != layer.topK()) {
      throw Require.refusal(
          "layer %d of %s sends a token to %d of %d experts, that of %s to %d of %d",
          layer.number(),
          own.model(),
          own.topK(),
          own.experts(),
          layer.model(),
          layer.topK(),
          layer.experts());
    }
    Tokens tokens =
        text == null
            ? TrainingText.of(trained, shared)
                .tokens()
                .tokens(Corpus.Part.VALIDATION, trained.tokenizer())
            : Corpus.read(text).tokens(trained.tokenizer());
    long needed = step.tokens() * step.topology().dataDegree();
    int length = trained.config().context();
    TokenWindows windows = new TokenWindows(tokens, trained.tokenizer(), length);
    // The text's last token is only a target, never an input.
    if (needed > tokens.size() - 1) {
      throw Require.refusal(
          "the text has %,d tokens, but %,d data ranks read %,d each; name a longer one by --text",
          tokens.size(), step.topology().dataDegree(), step.tokens());
    }
    RoutedTokens routed = new RoutedTokens(step);
    try (Backend backend = shared.open();
        LanguageModel loaded =
            trained.load(
                backend, InferenceSettings.of(WeightTypes.of(step.dtype().dtype())), null)) {
      TextEvaluator evaluator = new TextEvaluator(backend, loaded);
      for (long window = 0; !routed.complete(); window++) {
        evaluator.batch(windows::fill, window, 1, length, routed);
      }
    }
    return routed.rows();
  }
}
