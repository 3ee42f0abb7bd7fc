package panamoe.peers;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.IOException;
import java.io.InputStream;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import panamoe.data.JsonTokenizer;
import panamoe.harness.corpus.EuroparlCorpus;
import panamoe.io.Words;
import panamoe.lab.bench.Timing;

/**
 * Encoding speed of one thread in MB/s, of our tokenizer and of Hugging Face's Rust library (by
 * DJL's binding), alternating document by document. The texts are every fourth document of the
 * default corpus, and all English ones; both must give the same tokens on the whole corpus. Times
 * are the thread's CPU time, which other load affects little. {@code lab/peers/tokenizers} runs it.
 * Arguments: name of the end-of-text token, a tokenizer.json, number of rounds.
 */
public final class TokenizerTimes {
  private static final Map<String, String> OPTIONS =
      Map.of(
          "addSpecialTokens",
          "false",
          "padding",
          "false",
          "truncation",
          "false",
          "maxLength",
          "-1");

  private interface Encoder {
    int[] encode(String text);
  }

  private TokenizerTimes() {}

  public static void main(String[] arguments) throws IOException {
    Path file = Path.of(arguments[1]);
    int rounds = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 5;
    List<String> all = EuroparlCorpus.documents();
    List<String> english =
        all.stream().filter(text -> text.contains(" the ") && text.contains(" of ")).toList();
    List<String> fourth =
        IntStream.range(0, all.size()).filter(i -> i % 4 == 0).mapToObj(all::get).toList();
    long begin = System.nanoTime();
    JsonTokenizer ours = JsonTokenizer.load(file, arguments[0]);
    long loaded = System.nanoTime();
    System.out.println(
        Words.of("%s: loaded in %.2f s", file.getFileName(), (loaded - begin) / 1e9));
    try (InputStream in = Files.newInputStream(file);
        HuggingFaceTokenizer rust = HuggingFaceTokenizer.newInstance(in, OPTIONS)) {
      Encoder theirs =
          text ->
              LongStream.of(rust.encode(text, false, false).getIds())
                  .mapToInt(Math::toIntExact)
                  .toArray();
      for (String text : all) {
        if (!Arrays.equals(ours.encodeWithSpecialTokens(text), theirs.encode(text))) {
          throw new IllegalStateException("other tokens: " + text);
        }
      }
      measure("English", english, ours::encode, theirs, rounds);
      measure("21 languages", fourth, ours::encode, theirs, rounds);
    }
  }

  private static void measure(
      String name, List<String> texts, Encoder ours, Encoder theirs, int rounds) {
    double megabytes =
        texts.stream().mapToLong(text -> text.getBytes(StandardCharsets.UTF_8).length).sum() / 1e6;
    double[] ourRates = new double[rounds];
    double[] theirRates = new double[rounds];
    double[] ratios = new double[rounds];
    for (int round = 0; round < rounds; round++) {
      ourRates[round] = megabytes / seconds(texts, ours);
      theirRates[round] = megabytes / seconds(texts, theirs);
      ratios[round] = ourRates[round] / theirRates[round];
    }
    System.out.println(
        Words.of(
            "%s, %.1f MB: ours %.1f MB/s, Rust %.1f MB/s, ratio %.1f (medians of %d)",
            name,
            megabytes,
            Timing.median(ourRates),
            Timing.median(theirRates),
            Timing.median(ratios),
            rounds));
  }

  private static double seconds(List<String> texts, Encoder encoder) {
    long begin = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    long tokens = 0;
    for (String text : texts) {
      tokens += encoder.encode(text).length;
    }
    if (tokens == 0) {
      throw new IllegalStateException("no tokens");
    }
    return (ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() - begin) / 1e9;
  }
}
