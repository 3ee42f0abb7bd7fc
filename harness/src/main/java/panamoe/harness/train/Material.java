package panamoe.harness.train;

import panamoe.data.Tokenizer;
import panamoe.data.TrainingData;
import panamoe.open.ModelFolder;
import panamoe.train.RunConfig;

/**
 * A run's text, tokenizer, training data and teacher; all ranks of a process share it.
 *
 * @param teacher null without one
 */
public record Material(Text text, Tokenizer tokenizer, TrainingData data, ModelFolder teacher) {
  /**
   * @throws IllegalArgumentException if the tokenizer's vocabulary is not the model's
   */
  public static Material of(Text text, Tokenizer tokenizer, RunConfig config, ModelFolder teacher) {
    if (!tokenizer.fits(config.model().vocabulary())) {
      throw new IllegalArgumentException(
          "model.vocabulary is "
              + config.model().vocabulary()
              + " but the tokenizer has "
              + tokenizer.vocabularySize()
              + " tokens");
    }
    return new Material(
        text,
        tokenizer,
        new TrainingData(text.tokens(), tokenizer, config.training().sequence(), config.seed()),
        teacher);
  }
}
