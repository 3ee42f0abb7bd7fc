package panamoe.data;

import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import panamoe.io.DataException;
import panamoe.io.Require;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;

/**
 * Training and validation sequences of L tokens, packed of examples that do not see each other.
 * Only some tokens of an example are targets. Examples may be pairs, a chosen answer and a rejected
 * one, which follow each other in one sequence. A sequence's content depends on the examples alone;
 * every epoch visits all sequences in an order of its own, which depends on the seed. Thread-safe.
 */
public final class PackedExamples implements TokenSequences {

  /**
   * Tokens of one text.
   *
   * @param targets the positions of the tokens to predict; never the first
   */
  public record Example(int[] tokens, BitSet targets) {
    public Example {
      Require.that(
          !targets.get(0) && targets.length() <= tokens.length,
          "the targets %s are not of tokens 1 to %s",
          targets,
          tokens.length - 1);
    }

    /** Positions that the example takes: its last token is only predicted. */
    int length() {
      return tokens.length - 1;
    }
  }

  /** Examples that share a sequence. */
  private record Sequence(List<Example> examples) {
    /** Losses of the sequence: pairs or targets. */
    long losses(boolean paired) {
      return paired
          ? examples.size() / 2
          : examples.stream().mapToLong(example -> example.targets.cardinality()).sum();
    }
  }

  private final int length;
  private final long seed;
  private final Tokenizer tokenizer;
  private final boolean paired;
  private final List<Sequence> training;
  private final List<Sequence> validation;

  /**
   * @param training groups of examples that share a sequence: single ones, or all pairs
   * @param length L, at least 1
   * @param seed of the order of sequences
   * @throws DataException if there are no examples to train on, or none to validate on
   */
  public PackedExamples(
      List<List<Example>> training,
      List<List<Example>> validation,
      Tokenizer tokenizer,
      int length,
      long seed) {
    if (training.isEmpty() || validation.isEmpty()) {
      throw new DataException(
          "there are %s examples to train on and %s to validate on, expected at least 1 of each",
          training.size(), validation.size());
    }
    this.length = length;
    this.seed = seed;
    this.tokenizer = tokenizer;
    this.paired = training.getFirst().size() == 2;
    this.training = packed(training);
    this.validation = packed(validation);
  }

  /** Positions that the examples of a group take. */
  public static int length(List<Example> group) {
    return group.stream().mapToInt(Example::length).sum();
  }

  /** Best fit: each group joins the fullest sequence that has room for it. */
  private List<Sequence> packed(List<List<Example>> groups) {
    List<Sequence> sequences = new ArrayList<>();
    TreeMap<Integer, Deque<Sequence>> byRoom = new TreeMap<>();
    for (List<Example> group : groups) {
      int needed = length(group);
      Require.that(
          group.stream().noneMatch(example -> example.targets.isEmpty()),
          "an example has no targets");
      Require.that(
          needed <= length,
          "an example or pair takes %s tokens, more than a sequence of %s has room for",
          needed,
          length);
      Map.Entry<Integer, Deque<Sequence>> fitting = byRoom.ceilingEntry(needed);
      Sequence sequence;
      if (fitting == null) {
        sequence = new Sequence(new ArrayList<>());
        sequences.add(sequence);
      } else {
        sequence = fitting.getValue().pop();
        if (fitting.getValue().isEmpty()) {
          byRoom.remove(fitting.getKey());
        }
      }
      sequence.examples.addAll(group);
      byRoom
          .computeIfAbsent(length - length(sequence.examples), _ -> new ArrayDeque<>())
          .push(sequence);
    }
    return sequences;
  }

  @Override
  public int length() {
    return length;
  }

  @Override
  public long trainingSequences() {
    return training.size();
  }

  @Override
  public long validationSequences() {
    return validation.size();
  }

  @Override
  public long window(long number) {
    long windows = training.size();
    return new Permutation(windows, Permutation.mix(seed) + number / windows).at(number % windows);
  }

  private Sequence trained(long number) {
    return training.get(Math.toIntExact(window(number)));
  }

  @Override
  public Filled fillTraining(long first, Tensor ids, Tensor targets) {
    return fill(
        IntStream.range(0, sequences(ids)).mapToObj(i -> trained(first + i)).toList(),
        ids,
        targets);
  }

  @Override
  public long trainingLosses(long first, int sequences) {
    return IntStream.range(0, sequences).mapToLong(i -> trained(first + i).losses(paired)).sum();
  }

  @Override
  public Filled fillValidation(long first, Tensor ids, Tensor targets) {
    Sequence empty = new Sequence(List.of());
    return fill(
        IntStream.range(0, sequences(ids))
            .mapToObj(
                i ->
                    first + i < validation.size()
                        ? validation.get(Math.toIntExact(first + i))
                        : empty)
            .toList(),
        ids,
        targets);
  }

  @Override
  public long validationLosses(long sequences) {
    return validation.stream().limit(sequences).mapToLong(each -> each.losses(paired)).sum();
  }

  private int sequences(Tensor ids) {
    return Math.toIntExact(ids.count() / length);
  }

  /** What an example leaves of a sequence is end-of-text, a text of its own without targets. */
  private Filled fill(List<Sequence> sequences, Tensor ids, Tensor targets) {
    HostView inputs = HostView.of(ids);
    HostView outputs = HostView.of(targets);
    List<Integer> texts = new ArrayList<>();
    BitSet filler = new BitSet();
    long bytes = 0;
    long at = 0;
    for (Sequence sequence : sequences) {
      for (Example example : sequence.examples) {
        texts.add(example.length());
        for (int i = 0; i < example.length(); i++) {
          int next = example.tokens[i + 1];
          boolean target = example.targets.get(i + 1);
          inputs.memory().setAtIndex(ValueLayout.JAVA_INT, at, example.tokens[i]);
          outputs
              .memory()
              .setAtIndex(ValueLayout.JAVA_INT, at, target ? next : TrainingData.NO_TARGET);
          bytes += target ? tokenizer.bytesOf(next).length : 0;
          at++;
        }
      }
      int left = length - length(sequence.examples);
      if (left > 0) {
        filler.set(texts.size());
        texts.add(left);
      }
      for (int i = 0; i < left; i++) {
        inputs.memory().setAtIndex(ValueLayout.JAVA_INT, at, tokenizer.endOfText());
        outputs.memory().setAtIndex(ValueLayout.JAVA_INT, at++, TrainingData.NO_TARGET);
      }
    }
    inputs.write();
    outputs.write();
    return new Filled(bytes, texts.stream().mapToInt(Integer::intValue).toArray(), filler);
  }
}
