package panamoe.engine;

import java.util.Arrays;
import java.util.function.Consumer;
import panamoe.backend.Backend;
import panamoe.data.Tokenizer;
import panamoe.data.Utf8Stream;
import panamoe.model.LanguageModel;

/**
 * Generates text piece by piece. When the model's context is full, its later half is prefilled
 * again and generation continues. Used by one thread at a time.
 */
public final class TextGenerator implements AutoCloseable {
  /** Why generation ended. */
  public enum End {
    /** The model generated its end-of-text token. */
    END_OF_TEXT,
    /** A stop text was generated. */
    STOP,
    /** The limit on tokens was reached. */
    LENGTH
  }

  /**
   * A generated text.
   *
   * @param text without the prompt and the stop text
   * @param tokens number of generated tokens
   * @param promptTokens number of prompt tokens
   * @param prefillSeconds time for the prompt
   * @param decodeSeconds time for the generated tokens
   */
  public record Result(
      String text,
      End end,
      int tokens,
      int promptTokens,
      double prefillSeconds,
      double decodeSeconds) {}

  private final Tokenizer tokenizer;
  private final Decoder decoder;
  private final int vocabulary;
  private final int capacity;
  private final float[] logits;
  private final int[] window;

  /**
   * @param model packed for inference
   */
  public TextGenerator(Backend backend, LanguageModel model, Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
    this.capacity = model.config().context();
    this.vocabulary = model.config().vocabulary();
    this.logits = new float[vocabulary];
    this.window = new int[capacity];
    this.decoder =
        new Decoder(
            backend, model, 1,
            capacity); // last, so that an earlier failure leaves nothing to close
  }

  /**
   * The tokens of a prompt; needs no model. An empty prompt becomes the end-of-text token, which
   * begins a new text.
   *
   * @param context of the model in tokens
   * @throws IllegalArgumentException if the prompt has more tokens
   */
  public static int[] encode(String prompt, Tokenizer tokenizer, int context) {
    int[] tokens = prompt.isEmpty() ? new int[] {tokenizer.endOfText()} : tokenizer.encode(prompt);
    if (tokens.length > context) {
      throw new IllegalArgumentException(
          "the prompt has "
              + tokens.length
              + " tokens, more than the model's context of "
              + context);
    }
    return tokens;
  }

  /**
   * Continues a text prompt: {@link #encode}, then {@link #generate(int[], SamplingConfig,
   * Consumer)}.
   *
   * @throws IllegalArgumentException if the prompt has more tokens than the model's context
   */
  public Result generate(String prompt, SamplingConfig config, Consumer<String> onText) {
    return generate(encode(prompt, tokenizer, capacity), config, onText);
  }

  /**
   * Continues a prompt.
   *
   * @param tokens of the prompt, from {@link #encode}
   * @param onText receives each piece as soon as its characters are complete and cannot be part of
   *     a stop text
   */
  public Result generate(int[] tokens, SamplingConfig config, Consumer<String> onText) {
    Sampler sampler = new Sampler(config, vocabulary);
    Arrays.stream(tokens).forEach(sampler::saw);
    long start = System.nanoTime();
    decoder.prefill(0, 0, tokens, logits);
    double prefillSeconds = (System.nanoTime() - start) / 1e9;
    System.arraycopy(tokens, 0, window, 0, tokens.length);
    int position = tokens.length;
    StopTexts output = new StopTexts(config.stop(), onText);
    Utf8Stream characters = new Utf8Stream();
    End end = End.LENGTH;
    int count = 0;
    start = System.nanoTime();
    while (count < config.maxTokens()) {
      int token = sampler.next(logits);
      if (token == tokenizer.endOfText()) {
        end = End.END_OF_TEXT;
        break;
      }
      sampler.saw(token);
      count++;
      output.append(characters.append(tokenizer.bytesOf(token)));
      if (output.stopped()) {
        end = End.STOP;
        break;
      }
      if (count < config.maxTokens()) {
        position = advance(position, token);
      }
    }
    double decodeSeconds = (System.nanoTime() - start) / 1e9;
    if (end != End.STOP) {
      output.append(characters.end());
      output.finish();
    }
    return new Result(output.text(), end, count, tokens.length, prefillSeconds, decodeSeconds);
  }

  /** Runs {@code token} at {@code position} through the model; returns the next position. */
  private int advance(int position, int token) {
    if (position < capacity) {
      window[position] = token;
      decoder.step(0, position, token, logits);
      return position + 1;
    }
    int kept = capacity / 2;
    System.arraycopy(window, capacity - kept, window, 0, kept);
    window[kept] = token;
    decoder.prefill(0, 0, Arrays.copyOf(window, kept + 1), logits);
    return kept + 1;
  }

  @Override
  public void close() {
    decoder.close();
  }
}
