package panamoe.harness.train;

import panamoe.data.Tokenizer;
import panamoe.data.TrainingData;
import panamoe.io.Require;
import panamoe.open.ModelFolder;
import panamoe.train.RunConfig;

/**
 * A run's text, tokenizer, training data and teacher; shared by all ranks of a process.
 *
 * @param teacher null: none
 */
public record TrainingInputs(
    TrainingText text, Tokenizer tokenizer, TrainingData data, ModelFolder teacher) {
  /**
   * @throws IllegalArgumentException if the tokenizer's vocabulary is not the model's
   */
  public static TrainingInputs of(
      TrainingText text, Tokenizer tokenizer, RunConfig config, ModelFolder teacher) {
    Require.that(
        tokenizer.fits(config.model().vocabulary()),
        "model.vocabulary is %s but the tokenizer has %s tokens",
        config.model().vocabulary(),
        tokenizer.vocabularySize());
    return new TrainingInputs(
        text,
        tokenizer,
        new TrainingData(
            text.tokens(), tokenizer, config.training().batch().length(), config.seed()),
        teacher);
  }
}
