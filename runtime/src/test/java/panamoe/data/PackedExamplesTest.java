package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import panamoe.checkpoint.ArenaMemory;
import panamoe.data.PackedExamples.Example;
import panamoe.data.TokenSequences.Filled;
import panamoe.io.DataException;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

class PackedExamplesTest {
  private static final int LENGTH = 8;
  private static final Tokenizer TOKENIZER = new ByteTokenizer();
  private static final int END = TOKENIZER.endOfText();

  /** Tokens from {@code first} on; the last {@code targets} of them are targets. */
  private static Example example(int first, int tokens, int targets) {
    BitSet wanted = new BitSet();
    wanted.set(tokens - targets, tokens);
    return new Example(IntStream.range(first, first + tokens).toArray(), wanted);
  }

  private static PackedExamples packed(List<Example> training) {
    return new PackedExamples(
        training.stream().map(List::of).toList(),
        List.of(List.of(example(0, 4, 1))),
        TOKENIZER,
        LENGTH,
        7);
  }

  private record Batch(int[] ids, int[] targets, Filled filled) {
    static Batch of(PackedExamples data, long first, int sequences, boolean training) {
      try (TensorScope scope = TensorScope.confined(new ArenaMemory())) {
        Tensor ids = scope.zeros(DType.INT32, (long) sequences * LENGTH);
        Tensor targets = scope.zeros(DType.INT32, (long) sequences * LENGTH);
        Filled filled =
            training
                ? data.fillTraining(first, ids, targets)
                : data.fillValidation(first, ids, targets);
        return new Batch(ids.toInts(), targets.toInts(), filled);
      }
    }
  }

  @Test
  void examplesShareASequenceAndEndOfTextFillsIt() {
    PackedExamples data = packed(List.of(example(10, 4, 2), example(20, 5, 1)));
    assertEquals(1, data.trainingSequences());
    assertEquals(3, data.trainingLosses(5, 1));
    Batch batch = Batch.of(data, 0, 1, true);
    assertArrayEquals(new int[] {3, 4, 1}, batch.filled.texts());
    assertEquals("{2}", batch.filled.filler().toString());
    assertArrayEquals(new int[] {10, 11, 12, 20, 21, 22, 23, END}, batch.ids);
    assertArrayEquals(new int[] {-1, 12, 13, -1, -1, -1, 24, -1}, batch.targets);
    assertEquals(3, batch.filled.bytes());
  }

  @Test
  void aPairSharesASequenceAndCountsAsOneLoss() {
    List<List<Example>> pairs =
        List.of(
            List.of(example(10, 3, 1), example(20, 4, 2)),
            List.of(example(30, 3, 1), example(40, 3, 2)));
    PackedExamples data = new PackedExamples(pairs, pairs.subList(0, 1), TOKENIZER, LENGTH, 7);
    assertEquals(2, data.trainingSequences());
    assertEquals(2, data.trainingLosses(0, 2));
    assertEquals(1, data.validationLosses(3));
    Batch batch = Batch.of(data, 0, 2, true);
    int first = batch.ids[0] == 10 ? 0 : LENGTH;
    assertArrayEquals(
        new int[] {10, 11, 20, 21, 22, END, END, END},
        Arrays.copyOfRange(batch.ids, first, first + LENGTH));
  }

  @Test
  void validationEndsWithEmptySequences() {
    Batch batch = Batch.of(packed(List.of(example(10, 9, 8))), 0, 2, false);
    assertArrayEquals(new int[] {3, 5, 8}, batch.filled.texts());
    assertEquals(1, IntStream.of(batch.targets).filter(target -> target >= 0).count());
  }

  @Test
  void everyEpochHasEverySequenceInAnOrderOfItsOwn() {
    List<Example> examples = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      examples.add(example(2 * i, 9, 1));
    }
    PackedExamples data = packed(examples);
    List<List<Integer>> epochs = new ArrayList<>();
    for (int epoch = 0; epoch < 2; epoch++) {
      List<Integer> firsts = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        firsts.add(Batch.of(data, 20L * epoch + i, 1, true).ids[0]);
      }
      epochs.add(firsts);
      assertEquals(
          IntStream.range(0, 20).mapToObj(i -> 2 * i).toList(), firsts.stream().sorted().toList());
    }
    assertNotEquals(epochs.get(0), epochs.get(1));
    assertEquals(data.window(3), packed(examples).window(3));
  }

  /** Random lengths of at most half a sequence: sequences are nearly full. */
  @Test
  void packingLeavesLittleRoom() {
    List<Example> examples = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      examples.add(example(0, 2 + i * 7 % 4, 1));
    }
    PackedExamples data = packed(examples);
    long used = examples.stream().mapToLong(Example::length).sum();
    assertTrue(data.trainingSequences() <= Math.ceilDiv(used, LENGTH) + 2);
    assertEquals(1000, data.trainingLosses(0, (int) data.trainingSequences()));
  }

  @Test
  void aTargetIsATokenThatAnotherOnePrecedes() {
    BitSet first = new BitSet();
    first.set(0);
    for (BitSet wrong : List.of(first, example(0, 5, 1).targets())) {
      assertThrows(IllegalArgumentException.class, () -> new Example(new int[] {1, 2}, wrong));
    }
    assertThrows(IllegalArgumentException.class, () -> packed(List.of(example(0, 5, 0))));
  }

  @Test
  void anExampleThatIsTooLongIsRefused() {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> packed(List.of(example(0, 10, 1))));
    assertEquals(
        "an example or pair takes 9 tokens, more than a sequence of 8 has room for",
        e.getMessage());
  }

  @Test
  void eachPartHasAnExample() {
    DataException e = assertThrows(DataException.class, () -> packed(List.of()));
    assertEquals(
        "there are 0 examples to train on and 1 to validate on, expected at least 1 of each",
        e.getMessage());
  }
}
