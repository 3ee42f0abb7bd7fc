package panamoe.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.train.TrainerBench.BATCH;
import static panamoe.train.TrainerBench.SEQUENCE;

import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.checkpoint.Checkpoint;
import panamoe.config.GateConfig;
import panamoe.config.ModelPresets.Architecture;
import panamoe.data.TokenSequences;
import panamoe.parallel.Ranks;
import panamoe.tensor.Tensor;

/** {@link Trainer} stops when the loss jumps above its running mean. */
class LossSpikeTest {
  private static final int STEPS = 60;
  private static final Pattern SENTENCE =
      Pattern.compile(
          "step (\\d+): the loss jumped to (\\S+) from a running mean of (\\S+) \\(more than spike = 1.5\\); "
              + "the gradient grew most in layer [01], from (\\S+) to (\\S+)");

  /** Sequences whose rule for the next token changes at one step. */
  private record Turning(SyntheticSequences before, long step) implements TokenSequences {
    @Override
    public int length() {
      return before.length();
    }

    @Override
    public Filled fillTraining(long first, Tensor ids, Tensor targets) {
      Filled filled = before.fillTraining(first, ids, targets);
      for (long i = 0; first >= (step - 1) * BATCH && i < targets.count(); i++) {
        targets.setInt(i, SyntheticSequences.VOCABULARY - 1 - targets.getInt(i));
      }
      return filled;
    }

    @Override
    public Filled fillValidation(long first, Tensor ids, Tensor targets) {
      return before.fillValidation(first, ids, targets);
    }
  }

  private static RunConfig config() {
    TrainConfig training =
        TrainConfig.of(
                new TrainConfig.Schedule(STEPS, 1e-2, 1e-3, 0),
                new TrainConfig.Batch(BATCH, SEQUENCE, 1))
            .with(new TrainConfig.Checkpoints(0, 0, 1, 1.5));
    return TrainerBench.config(Architecture.PR_MOE, GateConfig.dropless(1), training);
  }

  private static TrainerBench open(int turn) {
    return TrainerBench.open(config(), 2, new Turning(new SyntheticSequences(SEQUENCE, 9), turn));
  }

  private static double trainUpTo(Trainer trainer, int step) {
    double loss = Double.NaN;
    while (trainer.step() < step) {
      loss = trainer.next().loss();
    }
    return loss;
  }

  @Test
  void aJumpStopsTheRunWithItsStepAndLayerNamed(@TempDir Path directory) {
    String said;
    try (TrainerBench bench = open(55)) {
      Trainer trainer = bench.trainer();
      trainUpTo(trainer, 52);
      new RunCheckpoints(trainer, directory).save();
      double last = trainUpTo(trainer, 54);
      List<float[]> weights = bench.weights();
      said = assertThrows(TrainingFailure.class, trainer::next).getMessage();
      Matcher sentence = SENTENCE.matcher(said);
      assertTrue(sentence.matches(), said);
      assertEquals("55", sentence.group(1));
      double mean = Double.parseDouble(sentence.group(3));
      assertTrue(Double.parseDouble(sentence.group(2)) > mean + 1.5, said);
      assertTrue(
          mean > last, "the mean remembers that the loss, now " + last + ", was larger: " + said);
      assertTrue(
          Double.parseDouble(sentence.group(5)) > Double.parseDouble(sentence.group(4)), said);

      assertEquals(54, trainer.step());
      for (int i = 0; i < weights.size(); i++) {
        assertArrayEquals(weights.get(i), bench.weights().get(i), "parameter " + i);
      }
    }
    try (TrainerBench bench = open(55)) { // the checkpoint holds the running mean
      Checkpoint latest = RunCheckpoints.latest(directory, config(), Ranks.alone()).orElseThrow();
      new RunCheckpoints(bench.trainer(), directory).restore(latest);
      trainUpTo(bench.trainer(), 54);
      assertEquals(said, assertThrows(TrainingFailure.class, bench.trainer()::next).getMessage());
    }
  }

  /** Spikes are not detected early, when the loss is not meaningful. */
  @Test
  void aJumpInTheFirst50StepsIsLetPass() {
    try (TrainerBench bench = open(50)) {
      double before = trainUpTo(bench.trainer(), 49);
      double jumped = trainUpTo(bench.trainer(), 50);
      assertTrue(jumped > before + 2, "it jumped from " + before + " to " + jumped + " only");
    }
    try (TrainerBench bench = open(51)) {
      trainUpTo(bench.trainer(), 50);
      assertThrows(TrainingFailure.class, bench.trainer()::next);
    }
  }
}
