package panamoe.harness.train;

import java.nio.file.Path;
import panamoe.conversation.ChatCorpus;
import panamoe.data.TokenSequences;
import panamoe.data.Tokenizer;
import panamoe.data.TrainingData;
import panamoe.engine.routes.RouteFile;
import panamoe.io.DataException;
import panamoe.io.Require;
import panamoe.open.ModelFolder;
import panamoe.train.RunConfig;
import panamoe.train.Trainer;

/**
 * A run's text, tokenizer, training data and teacher; shared by all ranks of a process.
 *
 * @param teacher null: none
 * @param routes file of the texts' routes; null: gates choose
 */
public record TrainingInputs(
    TrainingText text, Tokenizer tokenizer, TokenSequences data, ModelFolder teacher, Path routes) {
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
    int length = config.training().batch().length();
    TokenSequences data =
        text.tokens() instanceof ChatCorpus chat
            ? chat.packed(length, config.seed())
            : new TrainingData(text.tokens(), tokenizer, length, config.seed());
    return new TrainingInputs(text, tokenizer, data, teacher, null);
  }

  /**
   * With routes to replay; null: none.
   *
   * @param done steps of the run
   * @throws DataException if the file cannot be read, has routes of another model, or lacks a text
   */
  TrainingInputs with(Path recorded, RunConfig config, long done) {
    if (recorded != null) {
      try (RouteFile file = RouteFile.open(recorded, config.model())) {
        Trainer.requireRoutes(file, config, data, done);
      }
    }
    return new TrainingInputs(text, tokenizer, data, teacher, recorded);
  }
}
