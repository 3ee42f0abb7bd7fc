package panamoe.data.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.stream.IntStream;
import panamoe.io.Count;
import panamoe.io.DataException;
import panamoe.io.IntList;
import panamoe.io.Require;

/**
 * Trains byte-level BPE: repeatedly merges the most frequent pair of neighbouring tokens into a
 * token; of equally frequent pairs the one with the lower left id, then the lower right id. Pairs
 * do not cross the words of GPT-2's pattern. Tokens, ids and merges equal those of Hugging Face's
 * {@code BpeTrainer} with its byte-level alphabet and one special token: id 0 is the end of text, 1
 * to 256 are the bytes in the order of their characters, then one for each merge.
 *
 * <p>A merge updates only the counts of pairs next to its occurrences, so its time is proportional
 * to the number of distinct words with the pair.
 */
public final class BpeTrainer {
  /** The smallest vocabulary: the end of text, the bytes, and one merge. */
  public static final int LEAST_TOKENS = 258;

  /** The largest vocabulary. */
  public static final int MOST_TOKENS = TokenizerJson.MAX_TOKENS;

  /** Receives the work done; called often, by several threads. */
  @FunctionalInterface
  public interface Progress {
    /**
     * @param what is counted, in the plural
     */
    void reached(String what, long done, long of);
  }

  private static final long ODD = 0x9e3779b97f4a7c15L;

  /** A pair of tokens: its current frequency, and the words that have it, or had it before. */
  private static final class Pair {
    final int left;
    final int right;
    final IntList words = new IntList(4);
    long count;

    Pair(int left, int right) {
      this.left = left;
      this.right = right;
    }

    /** A hash key of a pair; mixed, because consecutive ids would collide. */
    static long key(int left, int right) {
      return ((long) left << 32 | right) * ODD;
    }
  }

  /** A queued pair with its frequency at that time, which may have fallen since. */
  private record Candidate(Pair pair, long count) implements Comparable<Candidate> {
    Candidate(Pair pair) {
      this(pair, pair.count);
    }

    @Override
    public int compareTo(Candidate other) {
      int order = Long.compare(other.count, count);
      order = order != 0 ? order : Integer.compare(pair.left, other.pair.left);
      return order != 0 ? order : Integer.compare(pair.right, other.pair.right);
    }
  }

  private final List<String> names = TrainedBpe.firstTokens();
  private final List<String> merges = new ArrayList<>();

  /** The tokens of each distinct word, and the word's frequency. */
  private final int[][] words;

  private final long[] counts;

  private final Map<Long, Pair> pairs = new HashMap<>();
  private final PriorityQueue<Candidate> queue = new PriorityQueue<>();

  private BpeTrainer(Map<String, WordCounts.Tally> tallies) {
    int[] ofBytes = new int[256];
    for (int token = 1; token < names.size(); token++) {
      ofBytes[ByteAlphabet.bytes(names.get(token))[0] & 0xff] = token;
    }
    words = new int[tallies.size()][];
    counts = new long[words.length];
    int index = 0;
    for (Map.Entry<String, WordCounts.Tally> word : tallies.entrySet()) {
      byte[] bytes = word.getKey().getBytes(StandardCharsets.UTF_8);
      int[] tokens = new int[bytes.length];
      Arrays.setAll(tokens, i -> ofBytes[bytes[i] & 0xff]);
      words[index] = tokens;
      counts[index++] = word.getValue().count;
    }
  }

  /**
   * Trains on texts. The result does not depend on the number of threads.
   *
   * @param vocabulary number of tokens, see {@link #requireVocabulary}
   * @param threads that split texts into words; merging uses one
   * @throws DataException if the texts have too few pairs
   */
  public static TrainedBpe train(List<String> texts, int vocabulary, int threads, Progress progress)
      throws InterruptedException {
    requireVocabulary(vocabulary);
    return new BpeTrainer(WordCounts.of(texts, threads, progress)).run(vocabulary, progress);
  }

  /**
   * Refuses an impossible vocabulary size.
   *
   * @throws IllegalArgumentException if it is not {@value #LEAST_TOKENS} to {@value #MOST_TOKENS}
   */
  public static void requireVocabulary(int vocabulary) {
    if (vocabulary < LEAST_TOKENS || vocabulary > MOST_TOKENS) {
      throw Require.refusal(
          "the vocabulary is %s, expected %s (the end of a text, 256 bytes and a merge) to %s",
          vocabulary, LEAST_TOKENS, MOST_TOKENS);
    }
  }

  private TrainedBpe run(int vocabulary, Progress progress) throws InterruptedException {
    long bytes = tokens();
    List<Pair> found = new ArrayList<>();
    for (int index = 0; index < words.length; index++) {
      for (int at = 0; at + 1 < words[index].length; at++) {
        add(words[index][at], words[index][at + 1], index, found);
      }
    }
    enqueue(found);
    while (names.size() < vocabulary) {
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      merge(mostFrequent(vocabulary));
      progress.reached("tokens found", names.size(), vocabulary);
    }
    return new TrainedBpe(names, merges, bytes, tokens());
  }

  /** The number of tokens in all texts. */
  private long tokens() {
    return IntStream.range(0, words.length).mapToLong(i -> words[i].length * counts[i]).sum();
  }

  private Pair mostFrequent(int vocabulary) {
    for (Candidate first = queue.poll(); first != null; first = queue.poll()) {
      if (first.count == first.pair.count) {
        return first.pair;
      }
      if (first.pair.count > 0) {
        queue.add(new Candidate(first.pair));
      }
    }
    throw new DataException(
        "the text gives %s at most, fewer than the vocabulary of %s; give more text, or ask for"
            + " fewer tokens",
        Count.of(names.size(), "token"), vocabulary);
  }

  /**
   * Replaces a pair by a new token in every word. No two pairs spell the same token: after a merge
   * no other pair with the same characters is left.
   */
  private void merge(Pair pair) {
    int token = names.size();
    names.add(names.get(pair.left) + names.get(pair.right));
    merges.add(names.get(pair.left) + " " + names.get(pair.right));
    List<Pair> found = new ArrayList<>();
    for (int i = 0; i < pair.words.size(); i++) {
      merge(pair.words.get(i), pair, token, found);
    }
    pairs.remove(Pair.key(pair.left, pair.right));
    enqueue(found);
  }

  private void enqueue(List<Pair> found) {
    found.stream().filter(pair -> pair.count > 0).map(Candidate::new).forEach(queue::add);
  }

  private void merge(int index, Pair pair, int token, List<Pair> found) {
    int[] word = words[index];
    long count = counts[index];
    int to = 0;
    for (int at = 0; at < word.length; at++) {
      if (at + 1 == word.length || word[at] != pair.left || word[at + 1] != pair.right) {
        word[to++] = word[at];
        continue;
      }
      if (to > 0) {
        pair(word[to - 1], pair.left).count -= count;
        add(word[to - 1], token, index, found);
      }
      if (at + 2 < word.length) {
        pair(pair.right, word[at + 2]).count -= count;
        add(token, word[at + 2], index, found);
      }
      word[to++] = token;
      at++;
    }
    words[index] = Arrays.copyOf(word, to);
  }

  private Pair pair(int left, int right) {
    return pairs.get(Pair.key(left, right));
  }

  /**
   * Counts an occurrence of a pair.
   *
   * @param found receives the pair if it is new
   */
  private void add(int left, int right, int word, List<Pair> found) {
    long key = Pair.key(left, right);
    Pair pair = pairs.get(key);
    if (pair == null) {
      pair = new Pair(left, right);
      pairs.put(key, pair);
      found.add(pair);
    }
    pair.count += counts[word];
    if (!pair.words.endsWith(word)) {
      pair.words.add(word);
    }
  }
}
