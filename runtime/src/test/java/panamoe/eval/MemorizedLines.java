package panamoe.eval;

import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.backend.abi.NativeBackend;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;
import panamoe.data.ByteTokenizer;
import panamoe.data.Corpus;
import panamoe.data.TrainingData;
import panamoe.model.LanguageModel;
import panamoe.train.RunCheckpoints;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import panamoe.train.Trainer;

/** A tiny model that has memorized two sentences, saved in a folder. */
final class MemorizedLines {
  static final int LENGTH = 48;
  static final Corpus CORPUS =
      Corpus.of(
          IntStream.range(0, 600)
              .mapToObj(i -> i % 2 == 0 ? "The old cat sat on the mat." : "A dog ran to my house.")
              .toList());

  private MemorizedLines() {}

  /** Trains and saves; returns the trainer's bits per byte of the validation part. */
  static double save(Path folder) {
    ByteTokenizer tokenizer = new ByteTokenizer();
    ModelConfig config = ModelPresets.of(Size.TINY, Architecture.PR_MOE, 257);
    TrainConfig training = TrainConfig.of(60, 8, LENGTH);
    RunConfig run = new RunConfig(config, training, 1);
    try (Backend backend = NativeBackend.open("cpu", 2);
        LanguageModel model = new LanguageModel(config)) {
      model.materialize(backend, training.dtype(), true, 1);
      TrainingData data = new TrainingData(CORPUS, tokenizer, LENGTH, 1);
      Trainer trainer = new Trainer(backend, model, run, data);
      while (!trainer.finished()) {
        trainer.next();
      }
      new RunCheckpoints(trainer, folder).save();
      return trainer.evaluate().bitsPerByte();
    }
  }

  static List<Task> tasks() {
    return List.of(
        new Task.LastWord("The old cat sat on the mat."),
        new Task.LastWord("A dog ran to my garden."),
        new Task.Choice("The old cat sat", List.of(" to my house.", " on the mat."), 1),
        new Task.Choice("A dog ran to", List.of(" my house.", " the mat."), 1));
  }
}
