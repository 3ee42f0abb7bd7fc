package panamoe.data.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.data.JsonTokenizer;
import panamoe.io.DataException;

/** Merges equal those of a trainer that recounts all pairs for each merge. */
class BpeTrainerTest {
  private static final BpeTrainer.Progress SILENT = (_, _, _) -> {};

  private static final Pattern GPT2 =
      Pattern.compile(
          "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
          Pattern.UNICODE_CHARACTER_CLASS);

  private static final List<String> PIECES =
      List.of(
          "the", " other", " others", "re", " Straße", "они", " она", "天气", "e\u0301", "a", "aa",
          "aaa", " ", "  ", "\n", "12", "3", "'s", "'ll", "-", "---", "....", "🦙", "\u0000");

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void mergesAreThoseOfCountingAgain(long seed) throws InterruptedException {
    List<String> texts = texts(seed);
    TrainedBpe trained = BpeTrainer.train(texts, 400, 2, SILENT);
    assertEquals(countingAgain(texts, 400), trained.merges());
    assertEquals(400, trained.tokens().size());
  }

  @Test
  void ofEquallyFrequentPairsTheOneWithTheLowerIdsIsFirst() throws InterruptedException {
    // Each pair occurs twice; ids of bytes are in the order of their characters.
    List<String> texts = List.of("zy\nBC\nBA", "BA\nBC\nzy");
    assertEquals(List.of("B A", "B C", "z y"), BpeTrainer.train(texts, 260, 1, SILENT).merges());
  }

  @Test
  void runsOfOneTokenAreMergedFromTheLeft() throws InterruptedException {
    TrainedBpe trained = BpeTrainer.train(List.of("aaaaaaa"), 260, 1, SILENT);
    assertEquals(List.of("a a", "aa aa", "aa a"), trained.merges());
    assertEquals(7, trained.textBytes());
    assertEquals(2, trained.textTokens());
  }

  @Test
  void theResultDoesNotDependOnThreadsOrOrder() throws InterruptedException {
    List<String> texts = texts(7);
    byte[] expected = BpeTrainer.train(texts, 400, 1, SILENT).json();
    for (int threads : new int[] {2, 5}) {
      assertArrayEquals(expected, BpeTrainer.train(texts, 400, threads, SILENT).json());
      assertArrayEquals(expected, BpeTrainer.train(texts.reversed(), 400, threads, SILENT).json());
    }
  }

  @Test
  void theFileEncodesWhatItWasTrainedOn() throws InterruptedException {
    List<String> texts = texts(8);
    TrainedBpe trained = BpeTrainer.train(texts, 400, 2, SILENT);
    JsonTokenizer tokenizer = JsonTokenizer.of(trained.json(), "trained");
    assertEquals(400, tokenizer.vocabularySize());
    assertEquals(0, tokenizer.endOfText());
    long tokens = 0;
    long bytes = 0;
    for (String text : texts) {
      int[] encoded = tokenizer.encode(text);
      assertEquals(text, tokenizer.decode(encoded));
      tokens += encoded.length;
      bytes += text.getBytes(StandardCharsets.UTF_8).length;
    }
    assertEquals(trained.textTokens(), tokens);
    assertEquals(trained.textBytes(), bytes);
    // Text that spells the special token never becomes it.
    assertTrue(tokenizer.encode("<|endoftext|>").length > 1);
  }

  @Test
  void aVocabularyThatTheTextCannotGiveIsRefused() throws InterruptedException {
    assertEquals(259, BpeTrainer.train(List.of("abc"), 259, 1, SILENT).tokens().size());
    DataException refused =
        assertThrows(DataException.class, () -> BpeTrainer.train(List.of("abc"), 260, 1, SILENT));
    assertEquals(
        "the text gives 259 tokens at most, fewer than the vocabulary of 260; give more text, or ask for fewer tokens",
        refused.getMessage());
    for (int vocabulary : new int[] {-1, 257, BpeTrainer.MOST_TOKENS + 1}) {
      assertThrows(
          IllegalArgumentException.class,
          () -> BpeTrainer.train(List.of("abc"), vocabulary, 1, SILENT));
    }
  }

  @Test
  void anInterruptionEndsIt() {
    Thread.currentThread().interrupt();
    assertThrows(InterruptedException.class, () -> BpeTrainer.train(texts(9), 300, 2, SILENT));
    Thread.interrupted();
    assertThrows(
        InterruptedException.class,
        () ->
            BpeTrainer.train(
                texts(9),
                300,
                2,
                (what, _, _) -> {
                  if (what.startsWith("tokens")) {
                    Thread.currentThread().interrupt();
                  }
                }));
  }

  private static List<String> texts(long seed) {
    Random random = new Random(seed);
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      StringBuilder text = new StringBuilder();
      for (int piece = random.nextInt(30); piece > 0; piece--) {
        text.append(PIECES.get(random.nextInt(PIECES.size())));
      }
      texts.add(text.toString());
    }
    return texts;
  }

  /** Merges by the definition, in quadratic time. */
  private static List<String> countingAgain(List<String> texts, int vocabulary) {
    List<String> names = new ArrayList<>(TrainedBpe.firstTokens());
    List<List<Integer>> words = new ArrayList<>();
    for (String text : texts) {
      GPT2.matcher(text)
          .results()
          .map(MatchResult::group)
          .forEach(
              word -> {
                byte[] bytes = word.getBytes(StandardCharsets.UTF_8);
                List<Integer> tokens = new ArrayList<>();
                ByteAlphabet.name(bytes, bytes.length)
                    .chars()
                    .forEach(c -> tokens.add(names.indexOf(String.valueOf((char) c))));
                words.add(tokens);
              });
    }
    List<String> merges = new ArrayList<>();
    while (names.size() < vocabulary) {
      Map<List<Integer>, Integer> counts = new HashMap<>();
      for (List<Integer> word : words) {
        for (int i = 0; i + 1 < word.size(); i++) {
          counts.merge(List.copyOf(word.subList(i, i + 2)), 1, Integer::sum);
        }
      }
      List<Integer> best =
          counts.keySet().stream()
              .min(
                  Comparator.<List<Integer>>comparingInt(pair -> -counts.get(pair))
                      .thenComparingInt(List::getFirst)
                      .thenComparingInt(List::getLast))
              .orElseThrow();
      int token = names.size();
      names.add(names.get(best.getFirst()) + names.get(best.getLast()));
      merges.add(names.get(best.getFirst()) + " " + names.get(best.getLast()));
      for (List<Integer> word : words) {
        for (int i = 0; i + 1 < word.size(); i++) {
          if (word.subList(i, i + 2).equals(best)) {
            word.set(i, token);
            word.remove(i + 1);
          }
        }
      }
    }
    return merges;
  }
}
