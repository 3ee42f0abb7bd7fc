package panamoe.data.tokenizer;

import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Counts the words of texts, the pieces of {@link PreTokenizer#GPT2}. Each thread takes the next
 * text and counts into its own map; the sums do not depend on the assignment.
 */
final class WordCounts {
  /** A mutable count in a map. */
  static final class Tally {
    long count;

    private Tally plus(Tally other) {
      count += other.count;
      return this;
    }
  }

  private final List<String> texts;
  private final BpeTrainer.Progress progress;
  private final AtomicInteger next = new AtomicInteger();

  private WordCounts(List<String> texts, BpeTrainer.Progress progress) {
    this.texts = texts;
    this.progress = progress;
  }

  /** The frequency of each word. */
  static Map<String, Tally> of(List<String> texts, int threads, BpeTrainer.Progress progress)
      throws InterruptedException {
    WordCounts counts = new WordCounts(texts, progress);
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      Map<String, Tally> all = new HashMap<>();
      List<Callable<Map<String, Tally>>> parts = Collections.nCopies(threads, counts::count);
      for (Future<Map<String, Tally>> part : pool.invokeAll(parts)) {
        part.get().forEach((word, tally) -> all.merge(word, tally, Tally::plus));
      }
      return all;
    } catch (ExecutionException e) {
      if (e.getCause() instanceof Error error) {
        throw error; // out of memory
      }
      throw new IllegalStateException(e.getCause());
    }
  }

  private Map<String, Tally> count() throws InterruptedException {
    Map<String, Tally> words = new HashMap<>();
    Split.Sink sink =
        PreTokenizer.GPT2.into(
            (text, from, to) ->
                words.computeIfAbsent(new String(text, from, to - from), _ -> new Tally()).count++);
    for (int i = next.getAndIncrement(); i < texts.size(); i = next.getAndIncrement()) {
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      char[] text = Pipeline.wellFormed(texts.get(i));
      sink.piece(text, 0, text.length);
      progress.reached("texts split into words", i + 1, texts.size());
    }
    return words;
  }
}
