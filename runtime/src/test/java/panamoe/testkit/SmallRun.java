package panamoe.testkit;

import java.nio.file.Path;
import java.util.Collections;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.config.ModelPresets;
import panamoe.data.ByteTokenizer;
import panamoe.data.Corpus;
import panamoe.data.TrainingData;
import panamoe.model.LanguageModel;
import panamoe.tensor.DType;
import panamoe.train.RunCheckpoints;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import panamoe.train.Trainer;

/** A tiny PR-MoE that learns one sentence. */
public final class SmallRun {
  public static final String SENTENCE = "Die Würde des Menschen ist unantastbar. ";

  private SmallRun() {}

  /** Trains for {@code steps} and saves the model in {@code folder}, like a run. */
  public static void train(Path folder, int steps) {
    ByteTokenizer tokenizer = new ByteTokenizer();
    RunConfig run =
        new RunConfig(
            ModelPresets.of(
                ModelPresets.Size.TINY,
                ModelPresets.Architecture.PR_MOE,
                tokenizer.vocabularySize()),
            TrainConfig.of(steps, 8, 32).withDType(DType.FLOAT32),
            1);
    Corpus corpus = Corpus.of(Collections.nCopies(40, SENTENCE.repeat(8)));
    try (Backend backend = Backends.open("cpu", 2);
        LanguageModel model = new LanguageModel(run.model())) {
      model.materialize(backend, DType.FLOAT32, true, run.seed());
      Trainer trainer =
          new Trainer(backend, model, run, new TrainingData(corpus, tokenizer, 32, run.seed()));
      while (!trainer.finished()) {
        trainer.next();
      }
      new RunCheckpoints(trainer, folder.resolve("checkpoints")).save();
    }
  }
}
