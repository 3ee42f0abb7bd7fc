package panamoe.peers;

import de.kherud.llama.InferenceParameters;
import de.kherud.llama.LlamaModel;
import de.kherud.llama.ModelParameters;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import panamoe.api.Device;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.text.GenerationOptions;
import panamoe.text.ModelOptions;
import panamoe.text.Sampling;
import panamoe.text.ServiceOptions;
import panamoe.text.TextRequest;
import panamoe.text.TextService;

/**
 * A GGUF file behind a JVM's text service: ours, or java-llama.cpp. Prints the seconds from the
 * JVM's start to the first token, the median first token of an open service after a short prompt,
 * tokens/s of a long prompt and of decoding, and the tokens/s of 16 chats together. {@code
 * lab/peers/services} runs both in turns. Arguments: {@code ours} or {@code java-llama}, a file
 * whose tokenizer has a token for each byte, and the number of threads.
 */
public final class ServiceTimes {
  private static final int CHATS = 16;
  private static final int CONTEXT = 1024; // of each chat
  private static final int SHORT = 16;
  private static final int LONG = 512;
  private static final int TOKENS = 64;
  private static final int ROUNDS = 5;

  /** Completes a prompt greedily, with exactly {@code tokens} tokens; any thread may call it. */
  private interface Service extends AutoCloseable {
    void complete(String prompt, int tokens);

    @Override
    void close();
  }

  private record Ours(TextService service) implements Service {
    static Service open(Path file, int threads) {
      return new Ours(
          TextService.open(
              file,
              ModelOptions.USUAL.withSequences(CHATS).withContext(CONTEXT),
              ServiceOptions.USUAL.withDevice(Device.Type.CPU, threads)));
    }

    @Override
    public void complete(String prompt, int tokens) {
      GenerationOptions options = GenerationOptions.of(tokens).withSampling(Sampling.GREEDY);
      int written = service.submit(TextRequest.of(prompt, options)).join().usage().completion();
      Require.that(written == tokens, "the text has %s tokens, not %s", written, tokens);
    }

    @Override
    public void close() {
      service.close();
    }
  }

  private record JavaLlama(LlamaModel model) implements Service {
    static Service open(Path file, int threads) {
      return new JavaLlama(
          new LlamaModel(
              new ModelParameters()
                  .setModel(file.toString())
                  .setThreads(threads)
                  .setThreadsBatch(threads)
                  .setParallel(CHATS)
                  .setCtxSize(CHATS * CONTEXT)
                  .setLogVerbosity(-1)));
    }

    @Override
    public void complete(String prompt, int tokens) {
      model.complete(
          new InferenceParameters(prompt)
              .setNPredict(tokens)
              .setTemperature(0)
              .setCachePrompt(false)
              .setIgnoreEos(true));
    }

    /** Leaves the model to the process's end, because the library's own close may never return. */
    @Override
    public void close() {}
  }

  private ServiceTimes() {}

  public static void main(String[] arguments) throws InterruptedException, ExecutionException {
    System.out.println(of(arguments[0], Path.of(arguments[1]), Integer.parseInt(arguments[2])));
    System.exit(0); // a thread of java-llama.cpp's library is still there
  }

  /** The line of a library. */
  static String of(String library, Path file, int threads)
      throws InterruptedException, ExecutionException {
    try (Service service =
        library.equals("ours") ? Ours.open(file, threads) : JavaLlama.open(file, threads)) {
      service.complete(prompt(0, SHORT), 1);
      long opened = ManagementFactory.getRuntimeMXBean().getUptime();
      double first = median(round -> seconds(service, prompt(round, SHORT), 1));
      double prefill = median(round -> seconds(service, prompt(round, LONG), 1));
      double whole = median(round -> seconds(service, prompt(round, SHORT), TOKENS));
      return Words.of(
          "%s: first token of the process %.2f s, of a service %.1f ms; prefill %.0f, decode"
              + " %.1f, %s chats %.0f tokens/s",
          library,
          opened / 1e3,
          1e3 * first,
          LONG / prefill,
          (TOKENS - 1) / (whole - first),
          CHATS,
          chats(service));
    }
  }

  private static double seconds(Service service, String prompt, int tokens) {
    long begin = System.nanoTime();
    service.complete(prompt, tokens);
    return (System.nanoTime() - begin) / 1e9;
  }

  /** Tokens a second of all chats, each in its own thread. */
  private static double chats(Service service) throws InterruptedException, ExecutionException {
    try (ExecutorService users = Executors.newFixedThreadPool(CHATS)) {
      long begin = System.nanoTime();
      List<? extends Future<?>> chats =
          IntStream.range(0, CHATS)
              .mapToObj(i -> users.submit(() -> service.complete(prompt(i, SHORT), TOKENS)))
              .toList();
      for (Future<?> chat : chats) {
        chat.get();
      }
      return CHATS * TOKENS / ((System.nanoTime() - begin) / 1e9);
    }
  }

  /** A prompt of {@code length} letters that begins like no other. */
  private static String prompt(int number, int length) {
    StringBuilder prompt = new StringBuilder().append((char) ('A' + number));
    while (prompt.length() < length) {
      prompt.append((char) ('a' + (7 * number + prompt.length()) % 26));
    }
    return prompt.toString();
  }

  private static double median(IntToDoubleFunction secondsOfRound) {
    return IntStream.range(0, ROUNDS).mapToDouble(secondsOfRound).sorted().toArray()[ROUNDS / 2];
  }
}
