package panamoe.distill;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import panamoe.backend.Backend;
import panamoe.data.Permutation;
import panamoe.data.TokenSequences;
import panamoe.data.Tokenizer;
import panamoe.data.TrainingData;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationOutcome;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.sample.TokenLogprobs;
import panamoe.engine.schedule.Engine;
import panamoe.model.LanguageModel;
import panamoe.op.MixedDivergenceOp;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.train.RunConfig;

/**
 * Training sequences whose second halves the student writes: the first half is the text's, and the
 * student continues it by sampling at temperature 1. Targets of the text count, targets among the
 * samples do not. A sequence depends on its number, the run's seed, and the student's weights, so a
 * resumed run has the same ones. Steps that ask no teacher have the text alone. Used by the
 * trainer's thread.
 *
 * @param data the text
 * @param student which is trained
 */
public record StudentSamples(
    RunConfig run, TokenSequences data, Tokenizer tokenizer, Backend backend, LanguageModel student)
    implements TokenSequences {
  /**
   * Which rows of sequences of {@code length} tokens predict sampled tokens, or follow them all.
   */
  static MixedDivergenceOp.Tails tails(int length) {
    return new MixedDivergenceOp.Tails(length, prompt(length) - 1);
  }

  private static int prompt(int length) {
    return length / 2;
  }

  private boolean samples(long first) {
    return run.asksTeacher(first / run.training().batch().sequences());
  }

  @Override
  public int length() {
    return data.length();
  }

  @Override
  public Filled fillTraining(long first, Tensor ids, Tensor targets) {
    Filled filled = data.fillTraining(first, ids, targets);
    if (!samples(first)) {
      return filled;
    }
    HostView inputs = HostView.of(ids);
    HostView outputs = HostView.of(targets);
    inputs.read();
    outputs.read();
    int sequences = Math.toIntExact(ids.count() / length());
    write(first, sequences, inputs.memory());
    long bytes = 0;
    for (long row = 0; row < ids.count(); row++) {
      if (row % length() < tails(length()).from()) {
        int target = outputs.memory().getAtIndex(ValueLayout.JAVA_INT, row);
        bytes += tokenizer.bytesOf(target).length;
      } else {
        outputs.memory().setAtIndex(ValueLayout.JAVA_INT, row, TrainingData.NO_TARGET);
      }
    }
    inputs.write();
    outputs.write();
    return Filled.whole(bytes, sequences, length());
  }

  /** Replaces the second half of each sequence. */
  private void write(long first, int sequences, MemorySegment ids) {
    int prompt = prompt(length());
    StopConfig stop = new StopConfig(length() - prompt, 0, List.of(), Set.of(), true, false);
    try (Engine engine =
        new Engine(backend, student, tokenizer, EngineConfig.of(sequences, length()))) {
      List<Continuation> continuations = new ArrayList<>();
      for (int i = 0; i < sequences; i++) {
        long at = (long) i * length();
        int[] tokens = new int[prompt];
        Arrays.setAll(tokens, token -> ids.getAtIndex(ValueLayout.JAVA_INT, at + token));
        long seed = Permutation.mix(run.seed() ^ Permutation.mix(first + i));
        Continuation continuation = new Continuation(ids, at + prompt);
        engine.submit(
            GenerationRequest.of(tokens, SamplingConfig.of(1, 0, 1, seed), stop), continuation);
        continuations.add(continuation);
      }
      for (Continuation continuation : continuations) {
        while (!continuation.over()) {
          engine.step();
        }
        continuation.generation();
      }
    }
  }

  /** Writes sampled tokens one after the other. */
  private static final class Continuation extends GenerationOutcome {
    private final MemorySegment ids;
    private long next;

    Continuation(MemorySegment ids, long next) {
      this.ids = ids;
      this.next = next;
    }

    @Override
    public void sampled(int token, TokenLogprobs logprobs, int[] experts) {
      ids.setAtIndex(ValueLayout.JAVA_INT, next++, token);
    }
  }

  @Override
  public long trainingLosses(long first, int sequences) {
    return samples(first)
        ? (long) sequences * tails(length()).from()
        : data.trainingLosses(first, sequences);
  }

  @Override
  public long trainingSequences() {
    return data.trainingSequences();
  }

  @Override
  public long window(long number) {
    return data.window(number);
  }

  @Override
  public long validationSequences() {
    return data.validationSequences();
  }

  @Override
  public long validationLosses(long sequences) {
    return data.validationLosses(sequences);
  }

  @Override
  public Filled fillValidation(long first, Tensor ids, Tensor targets) {
    return data.fillValidation(first, ids, targets);
  }
}
