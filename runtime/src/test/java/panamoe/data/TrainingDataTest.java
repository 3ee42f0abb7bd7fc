package panamoe.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.checkpoint.ArenaMemory;
import panamoe.io.DataException;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

class TrainingDataTest {
  private static final int LENGTH = 16;

  private final ByteTokenizer tokenizer = new ByteTokenizer();
  private final Corpus corpus =
      Corpus.of(IntStream.range(0, 3000).mapToObj(i -> "The document " + i + ".").toList());
  private final TrainingData data = new TrainingData(corpus, tokenizer, LENGTH, 7);
  private final TensorScope scope = TensorScope.confined(new ArenaMemory());

  @AfterEach
  void close() {
    scope.close();
  }

  private record Batch(int[] ids, int[] targets, long bytes) {}

  @Test
  void everyEpochHasEveryWindowOnceInAnotherOrder() {
    Tokens tokens = corpus.tokens(Corpus.Part.TRAINING, tokenizer);
    int windows = (int) data.trainingSequences();
    assertEquals((tokens.size() - 1) / LENGTH, windows);
    Set<List<Integer>> expected = new HashSet<>();
    for (int window = 0; window < windows; window++) {
      int from = window * LENGTH;
      expected.add(IntStream.rangeClosed(from, from + LENGTH).map(tokens::get).boxed().toList());
    }
    List<List<Integer>> first = epoch(0);
    List<List<Integer>> second = epoch(1);
    assertEquals(expected, new HashSet<>(first));
    assertEquals(expected, new HashSet<>(second));
    assertEquals(windows, first.size());
    long same = IntStream.range(0, windows).filter(i -> first.get(i).equals(second.get(i))).count();
    assertTrue(same < windows / 50, same + " of " + windows + " windows are in the same place");
  }

  @Test
  void targetsFollowTheirTokens() {
    Batch batch = training(data, 0, 8);
    for (int sequence = 0; sequence < 8; sequence++) {
      int from = sequence * LENGTH;
      assertArrayEquals(
          Arrays.copyOfRange(batch.ids, from + 1, from + LENGTH),
          Arrays.copyOfRange(batch.targets, from, from + LENGTH - 1));
    }
    assertEquals(Arrays.stream(batch.targets).filter(token -> token < 256).count(), batch.bytes);
  }

  @Test
  void aSequenceDependsOnItsNumberAlone() {
    Batch whole = training(data, 5 * 12, 12);
    TrainingData resumed = new TrainingData(corpus, tokenizer, LENGTH, 7);
    assertArrayEquals(whole.ids, training(resumed, 5 * 12, 12).ids);
    for (int part = 0; part < 4; part++) {
      Batch slice = training(resumed, 5 * 12 + part * 3, 3);
      assertArrayEquals(
          Arrays.copyOfRange(whole.ids, part * 3 * LENGTH, (part + 1) * 3 * LENGTH), slice.ids);
      assertArrayEquals(
          Arrays.copyOfRange(whole.targets, part * 3 * LENGTH, (part + 1) * 3 * LENGTH),
          slice.targets);
    }
    assertFalse(
        Arrays.equals(
            whole.ids, training(new TrainingData(corpus, tokenizer, LENGTH, 8), 60, 12).ids));
  }

  @Test
  void validationIsTheTextInOrder() {
    Tokens tokens = corpus.tokens(Corpus.Part.VALIDATION, tokenizer);
    int sequences = (int) data.validationSequences();
    Batch batch = validation(0, sequences + 2);
    int counted = (int) tokens.size() - 1;
    assertArrayEquals(
        IntStream.range(0, counted).map(tokens::get).toArray(), Arrays.copyOf(batch.ids, counted));
    assertArrayEquals(
        IntStream.rangeClosed(1, counted).map(tokens::get).toArray(),
        Arrays.copyOf(batch.targets, counted));
    assertTrue(
        Arrays.stream(batch.targets)
            .skip(counted)
            .allMatch(target -> target == TrainingData.NO_TARGET));
    assertTrue(Arrays.stream(batch.ids).skip(counted).allMatch(id -> id == tokenizer.endOfText()));
    long text = corpus.passages(Corpus.Part.VALIDATION).stream().mapToLong(String::length).sum();
    assertEquals(text - 1, batch.bytes, "all bytes but the first, which nothing predicts");
    assertEquals(0, validation(sequences + 1_000_000L, 1).bytes);
  }

  @Test
  void refusesTextShorterThanASequence() {
    DataException e =
        assertThrows(DataException.class, () -> new TrainingData(corpus, tokenizer, 1_000_000, 0));
    assertTrue(e.getMessage().contains("a sequence of 1000000 needs 1000001"), e.getMessage());
    assertThrows(IllegalArgumentException.class, () -> new TrainingData(corpus, tokenizer, 0, 0));
    Tensor odd = scope.zeros(DType.INT32, LENGTH + 1);
    assertThrows(IllegalArgumentException.class, () -> data.fillTraining(0, odd, odd));
    Tensor floats = scope.zeros(DType.FLOAT32, LENGTH);
    assertThrows(IllegalArgumentException.class, () -> data.fillTraining(0, floats, floats));
    Tensor ids = scope.zeros(DType.INT32, LENGTH);
    assertThrows(IllegalArgumentException.class, () -> data.fillTraining(-1, ids, ids));
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 16, 17, 255, 256, 257, 1000, 65_537})
  void aPermutationHasEveryNumberOnce(long size) {
    for (long key = 0; key < 5; key++) {
      Permutation permutation = new Permutation(size, key);
      BitSet seen = new BitSet();
      for (long place = 0; place < size; place++) {
        seen.set(Math.toIntExact(permutation.at(place)));
      }
      assertEquals(size, seen.cardinality());
      assertEquals(size, seen.length());
    }
  }

  private List<List<Integer>> epoch(long epoch) {
    int windows = (int) data.trainingSequences();
    Batch batch = training(data, epoch * windows, windows);
    return IntStream.range(0, windows)
        .mapToObj(
            window -> {
              int from = window * LENGTH;
              return IntStream.concat(
                      IntStream.of(Arrays.copyOfRange(batch.ids, from, from + LENGTH)),
                      IntStream.of(batch.targets[from + LENGTH - 1]))
                  .boxed()
                  .toList();
            })
        .toList();
  }

  private Batch training(TrainingData source, long first, int sequences) {
    Tensor ids = scope.zeros(DType.INT32, (long) sequences * LENGTH);
    Tensor targets = scope.zeros(DType.INT32, (long) sequences * LENGTH);
    long bytes = source.fillTraining(first, ids, targets).bytes();
    return new Batch(ids.toInts(), targets.toInts(), bytes);
  }

  private Batch validation(long first, int sequences) {
    Tensor ids = scope.zeros(DType.INT32, (long) sequences * LENGTH);
    Tensor targets = scope.zeros(DType.INT32, (long) sequences * LENGTH);
    long bytes = data.fillValidation(first, ids, targets).bytes();
    return new Batch(ids.toInts(), targets.toInts(), bytes);
  }
}
