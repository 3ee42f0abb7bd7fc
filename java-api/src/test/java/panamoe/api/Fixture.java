package panamoe.api;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Random;
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

/** What tests of the facade share: memory with random contents, and a small trained model. */
final class Fixture {
  static final String SENTENCE = "Die Würde des Menschen ist unantastbar. ";

  private Fixture() {}

  /** FLOAT32 memory with {@code count} normal numbers. */
  static MemorySegment normals(Arena arena, int count, long seed) {
    return fill(arena.allocate(ValueLayout.JAVA_FLOAT, count), seed);
  }

  /** Fills FLOAT32 memory with normal numbers. */
  static MemorySegment fill(MemorySegment segment, long seed) {
    Random random = new Random(seed);
    for (long i = 0; i < segment.byteSize() / 4; i++) {
      segment.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
    }
    return segment;
  }

  static float[] floats(MemorySegment segment) {
    return segment.toArray(ValueLayout.JAVA_FLOAT);
  }

  /** Trains a tiny PR-MoE on one sentence and saves it in {@code folder}, as a run would. */
  static void trainModel(Path folder, int steps) {
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
