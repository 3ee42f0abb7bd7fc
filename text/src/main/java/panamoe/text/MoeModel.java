package panamoe.text;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import panamoe.api.Device;
import panamoe.api.PanamoeException;
import panamoe.api.TrainableModel;
import panamoe.api.internal.Access;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.api.internal.Lifetime;
import panamoe.backend.Backend;
import panamoe.data.Tokenizer;
import panamoe.engine.Engine;
import panamoe.engine.GenerationRequest;
import panamoe.engine.ModelFolder;
import panamoe.engine.ModelRunner;
import panamoe.engine.SamplingConfig;
import panamoe.engine.StopConfig;
import panamoe.model.LanguageModel;
import panamoe.tensor.DType;

/**
 * A trained language model that generates text. Only one thread at a time may call a {@link Device}
 * and what was created on it; methods that read no weights (encode, decode, the model's sizes) may
 * be called by any thread at any time. To configure and train a model, use {@link TrainableModel}.
 *
 * {@snippet file="panamoe/text/MoeModelExample.java" region="model"}
 */
public final class MoeModel implements AutoCloseable {
  private final Backend backend;
  private final Tokenizer tokenizer;
  private final LanguageModel model;
  private final Engine engine;
  private final List<String> warnings;
  private final Lifetime lifetime;

  private MoeModel(Device device, Path folder, boolean bfloat16) {
    this.backend = Access.backendOf(device);
    ModelFolder found = ModelFolder.open(folder);
    List<String> tolerated = new ArrayList<>();
    this.tokenizer = found.tokenizer();
    this.model = found.load(backend, bfloat16 ? DType.BFLOAT16 : DType.FLOAT32, tolerated);
    try {
      this.engine = Engine.forOne(backend, model, tokenizer);
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
    this.warnings = List.copyOf(tolerated);
    this.lifetime =
        Access.lifetimeOf(device)
            .begin(
                "the model",
                () -> {
                  engine.close();
                  model.close();
                });
  }

  /**
   * Loads a run's latest checkpoint, or one checkpoint.
   *
   * @param bfloat16 true keeps weights in bfloat16, which halves the memory traffic per token;
   *     false in float32
   * @throws PanamoeException.BadModel if the folder has no intact checkpoint, the model does not
   *     fit into memory, or the tokenizer is unsupported or not the model's
   * @throws IllegalStateException if the device is closed or in use by another thread; {@link
   *     #nextLogits} and {@link #generate} throw it too, and after {@link #close}
   */
  public static MoeModel open(Device device, Path folder, boolean bfloat16) {
    return Access.lifetimeOf(device)
        .use(() -> new MoeModel(device, Argument.notNull("folder", folder), bfloat16));
  }

  /** The loader's warnings, one sentence each; usually empty. */
  public List<String> warnings() {
    return warnings;
  }

  /** Number of parameters. */
  public long parameterCount() {
    return model.parameters().count();
  }

  /** The number of experts of each layer; 0 is a dense layer. */
  public List<Integer> experts() {
    return model.config().experts();
  }

  /** The longest sequence in tokens. */
  public int context() {
    return model.config().context();
  }

  /** The tokens of a text. */
  public int[] encode(String text) {
    return Failures.translating(() -> tokenizer.encode(Argument.notNull("text", text)));
  }

  /**
   * The text of tokens.
   *
   * @throws PanamoeException.BadArgument if there is no such token
   */
  public String decode(int... tokens) {
    return Failures.translating(
        () -> {
          for (int token : Argument.notNull("tokens", tokens)) {
            if (token < 0 || token >= tokenizer.vocabularySize()) {
              throw new IllegalArgumentException(
                  "token " + token + " is none of 0 to " + (tokenizer.vocabularySize() - 1));
            }
          }
          return tokenizer.decode(tokens);
        });
  }

  /**
   * The logits [V] of the token after {@code tokens}. They do not depend on the number of threads.
   *
   * @throws PanamoeException.BadArgument if {@code tokens} is empty, longer than the context, or
   *     has a token outside the vocabulary
   */
  public float[] nextLogits(int... tokens) {
    return lifetime.use(
        () -> {
          int count = Argument.notNull("tokens", tokens).length;
          if (count == 0 || count > context()) {
            throw new IllegalArgumentException(
                "there are "
                    + count
                    + " tokens, expected 1 to "
                    + context()
                    + ", the model's context");
          }
          return ModelRunner.nextLogits(backend, model, tokens);
        });
  }

  /**
   * Continues a prompt.
   *
   * @param temperature 0 takes the most probable token, 1 samples the model's distribution
   * @param seed of the random draws; the same seed gives the same text
   * @param onText receives the text piece by piece. An exception it throws ends generation and
   *     reaches the caller. It must not call this model's device
   * @return the whole continuation
   * @throws PanamoeException.BadArgument if the prompt has more tokens than the context, or an
   *     argument is out of range
   */
  public String generate(
      String prompt, int maxTokens, double temperature, long seed, Consumer<String> onText) {
    try {
      return lifetime.use(
          () -> {
            Argument.notNull("prompt", prompt);
            Argument.notNull("onText", onText);
            GenerationRequest request =
                GenerationRequest.of(
                    GenerationRequest.tokensOf(prompt, tokenizer, context()),
                    SamplingConfig.of(temperature, 0, 1, seed),
                    StopConfig.of(maxTokens, List.of()));
            return engine.run(request, text -> callBack(onText, text)).text();
          });
    } catch (CallerFailed e) {
      throw e.failure();
    }
  }

  private static void callBack(Consumer<String> onText, String text) {
    try {
      onText.accept(text);
    } catch (RuntimeException | Error e) {
      throw new CallerFailed(e);
    }
  }

  /** Carries a callback's exception past the translation of the runtime's exceptions. */
  private static final class CallerFailed extends RuntimeException {
    private static final long serialVersionUID = 1;

    CallerFailed(Throwable cause) {
      super(cause);
    }

    /** The callback's exception. */
    RuntimeException failure() {
      if (getCause() instanceof Error error) {
        throw error;
      }
      return (RuntimeException) getCause();
    }
  }

  /**
   * Frees the weights. Idempotent.
   *
   * @throws IllegalStateException if a call of its device is running; then nothing is freed
   */
  @Override
  public void close() {
    lifetime.close();
  }
}
