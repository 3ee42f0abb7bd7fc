package panamoe.text;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;
import panamoe.api.Device;
import panamoe.api.TrainableModel;
import panamoe.api.internal.Access;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.api.internal.Lifetime;
import panamoe.backend.Backend;
import panamoe.config.ModelConfig;
import panamoe.data.ByteTokenizer;
import panamoe.data.JsonTokenizer;
import panamoe.data.Tokenizer;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.ModelRunner;
import panamoe.io.RegularFile;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;

/**
 * A language model for text generation. Any thread may ask for completions at any time: a thread of
 * the model generates them together, and goes between the calls of the device, which wait for its
 * steps. Methods that read no weights (encode, decode, the model's sizes) may be called by any
 * thread too. Everything else on a {@link Device} serves one thread at a time. To stream, bound and
 * cancel completions, use a {@link TextService}; to train a model, {@link TrainableModel}.
 *
 * {@snippet file="panamoe/text/MoeModelExample.java" region="model"}
 */
public final class MoeModel implements AutoCloseable {
  private final Backend backend;
  private final ModelSource origin;
  private final ModelConfig config;
  private final long parameters;
  private final Completions completions;
  private final Lifetime lifetime;

  /**
   * @param owner of the model's memory
   */
  private MoeModel(Backend backend, ModelSource origin, Lifetime owner) {
    LanguageModel model = origin.weights().get();
    this.backend = backend;
    this.origin = origin;
    this.config = model.config();
    this.parameters = model.parameters().count();
    Engine engine;
    try {
      engine = new Engine(backend, model, origin.tokenizer(), origin.engine());
    } catch (RuntimeException | Error e) {
      origin.close().run();
      throw e;
    }
    this.lifetime = owner.begin("the model", this::free);
    this.completions = new Completions(engine, origin, config.context(), lifetime);
  }

  private void free() {
    completions.end();
    origin.close().run();
  }

  /** Opens a model with {@link ModelOptions#USUAL}; see below. */
  public static MoeModel open(Device device, Path path) {
    return open(device, path, ModelOptions.USUAL);
  }

  /**
   * Opens a model: the latest checkpoint of a run or of {@link TrainableModel#save}, one
   * checkpoint, a quantized model, or a released one (a folder in Hugging Face's layout, a GGUF
   * file, or a name such as {@code hf:Qwen/Qwen3-30B-A3B-GGUF:Q4_K_M} in place of a path: it is
   * fetched, with a line in the log, unless it is in the cache). A model that drops tokens in
   * training does not drop them here, because a token would depend on its neighbours.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if an argument is null
   * @throws panamoe.api.PanamoeException.BadModel if there is no intact model, it does not fit into
   *     memory, its tokenizer is unsupported or not the model's, or a named template cannot be used
   * @throws IllegalStateException if the device is closed or in use by another thread; all methods
   *     that compute throw it too, and after {@link #close}
   */
  public static MoeModel open(Device device, Path path, ModelOptions options) {
    Access access = Access.to("device", device);
    return access
        .lifetime()
        .use(
            () -> {
              Argument.notNull("options", options);
              ModelFolder found = ModelFolder.open(Argument.notNull("path", path));
              ModelSource origin = ModelSource.opened(found, access.backend(), options);
              return new MoeModel(access.backend(), origin, access.lifetime());
            });
  }

  /**
   * Generates with the weights of a model that trains, without a copy. A sequence that was begun
   * before they change depends on both: computed tokens stay in its cache, and a model in BFLOAT16
   * rounds the caller's changes when a sequence begins. Calls that train wait for a step of the
   * completions that run. Tokens are bytes and an end of text, and messages of conversations are
   * lines. Closing the other model closes this one.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if the vocabulary is not that of bytes, the
   *     model drops tokens (save and open it), or several ranks hold it
   * @throws IllegalStateException like {@link #open(Device, Path)}
   */
  public static MoeModel of(TrainableModel model) {
    return of(model, ByteTokenizer::new);
  }

  /**
   * Generates with a model that trains, with the tokens of a tokenizer.
   *
   * @param tokenizer a {@code tokenizer.json}
   * @throws panamoe.api.PanamoeException.BadModel if the tokenizer cannot be used
   */
  public static MoeModel of(TrainableModel model, Path tokenizer) {
    return of(
        model,
        () -> JsonTokenizer.load(RegularFile.named(Argument.notNull("tokenizer", tokenizer))));
  }

  private static MoeModel of(TrainableModel model, Supplier<Tokenizer> reader) {
    Access access = Access.to("model", model);
    return access
        .lifetime()
        .use(
            () -> {
              ModelSource origin = ModelSource.trained(access.weights(), reader.get());
              return new MoeModel(access.backend(), origin, access.lifetime());
            });
  }

  /**
   * The loader's warnings, one sentence each; usually empty. After a conversation with tools, also
   * one if the model's template shows calls in a form that is not read. Not among them: a released
   * model without a chat template, for which {@link #chat} writes lines.
   */
  public List<String> warnings() {
    return Stream.concat(origin.warnings().stream(), origin.conversations().warnings().stream())
        .toList();
  }

  /** Number of parameters. */
  public long parameterCount() {
    return parameters;
  }

  /** The number of experts of each layer; 0 is a dense layer. */
  public List<Integer> experts() {
    return config.experts();
  }

  /**
   * The context length in tokens, for prompt and completion together, or for each of them with an
   * encoder. Only a completion with {@link GenerationOptions#slide} becomes longer.
   */
  public int context() {
    return config.context();
  }

  /** The publisher's sampling defaults; without them, sampling from all tokens. */
  public Sampling defaultSampling() {
    return origin.defaultSampling();
  }

  /** The tokens of a text. */
  public int[] encode(String text) {
    return Failures.translating(() -> origin.tokenizer().encode(Argument.notNull("text", text)));
  }

  /**
   * The tokens of a conversation up to the assistant's next message: the prompt of {@link #chat}.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if there are no messages, the model's template
   *     refuses them, a call's arguments are not the text of a JSON object, or the model has an
   *     encoder and thus no conversations
   * @throws panamoe.api.PanamoeException.BadModel if its template cannot be used
   */
  public int[] encode(List<ChatMessage> messages, ChatOptions options) {
    return Failures.translating(
        () -> {
          Conversations conversations = origin.conversations();
          return conversations.format().tokens(conversations.prompt(messages, options));
        });
  }

  /**
   * The text that tokens spell.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if a token is outside the vocabulary
   */
  public String decode(int... tokens) {
    return Failures.translating(
        () -> {
          Tokenizer tokenizer = origin.tokenizer();
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
   * @throws panamoe.api.PanamoeException.BadArgument if {@code tokens} is empty, longer than the
   *     context, or has a token outside the vocabulary
   */
  public float[] nextLogits(int... tokens) {
    return lifetime.use(
        () -> {
          int count = Argument.notNull("tokens", tokens).length;
          Require.that(
              count != 0 && count <= context(),
              "there are %s tokens, expected 1 to %s, the model's context",
              count,
              context());
          return ModelRunner.nextLogits(backend, origin.weights().get(), tokens);
        });
  }

  /** Completes a prompt. */
  public GenerationResult generate(String prompt, GenerationOptions options) {
    return generate(prompt, options, _ -> {});
  }

  /**
   * Completes a prompt, together with those of other threads. The call waits if {@link
   * ModelOptions#sequences} others are unfinished. If the thread is interrupted, the completion
   * ends with {@link FinishReason#CANCELLED}, or is refused while its schema is read; the interrupt
   * status stays set.
   *
   * @param onText receives the text piece by piece, on this thread. An exception that it throws
   *     ends the completion and reaches the caller
   * @throws panamoe.api.PanamoeException.BadArgument if the prompt has more tokens than the
   *     context, or an argument is null
   * @throws panamoe.api.PanamoeException.Diverged if the model's values are not finite
   * @throws java.util.concurrent.CancellationException if the options have a schema, and the thread
   *     is interrupted before a token is computed
   * @throws IllegalStateException if the model is closed, also before the completion ends, or this
   *     thread is inside a call of the device
   */
  public GenerationResult generate(
      String prompt, GenerationOptions options, Consumer<String> onText) {
    Failures.translating(() -> Argument.notNull("onText", onText));
    return begin(TextRequest.of(prompt, options))
        .forEach(
            piece -> {
              if (!piece.content().isEmpty()) {
                onText.accept(piece.content());
              }
            });
  }

  /** Replies to a conversation. */
  public GenerationResult chat(List<ChatMessage> messages, ChatOptions options) {
    return chat(messages, options, _ -> {});
  }

  /**
   * Replies to a conversation, like {@link #generate}, in the form of the model's chat template or
   * of {@link ModelOptions#chatTemplate}. A released model without a template has one of its
   * family; other models use lines, {@code role: content}. Only the template can spell special
   * tokens, messages cannot. The reply ends with the model's turn ({@link FinishReason#STOP}), or
   * by {@code options}. Thoughts and calls are separated from its content by the markup of the
   * model's family (docs/chat-templates.md). A call's arguments keep to the schema of the function.
   *
   * {@snippet file="panamoe/text/MoeModelExample.java" region="chat"}
   *
   * The caller runs the functions, and continues with their results.
   *
   * {@snippet file="panamoe/text/MoeModelExample.java" region="tools"}
   *
   * @param messages the conversation; its last message is the user's, or a tool's
   * @param onPiece receives the reply piece by piece, like {@code onText} of {@link #generate}
   * @throws panamoe.api.PanamoeException.BadArgument like {@link #generate} and {@link
   *     #encode(List, ChatOptions)}, or if the schema of a tool is not supported
   * @throws panamoe.api.PanamoeException.BadModel if the template cannot be used
   * @throws java.util.concurrent.CancellationException like {@link #generate}, also with tools
   * @throws IllegalStateException like {@link #generate}
   */
  public GenerationResult chat(
      List<ChatMessage> messages, ChatOptions options, Consumer<TextPiece> onPiece) {
    Failures.translating(() -> Argument.notNull("onPiece", onPiece));
    return begin(TextRequest.of(messages, options)).forEach(onPiece);
  }

  private TextCompletion begin(TextRequest request) {
    TextCompletion completion = new TextCompletion(lifetime::requireOutside);
    begin(request, completion, () -> {});
    return completion;
  }

  /**
   * Begins a completion.
   *
   * @param onEnd called by the engine's thread before the completion ends
   */
  void begin(TextRequest request, TextCompletion completion, Runnable onEnd) {
    completions.begin(request, completion, onEnd);
  }

  /** Refuses to wait inside a call of the device. */
  void requireOutside() {
    lifetime.requireOutside();
  }

  /** Most sequences that run at a time. */
  int sequences() {
    return origin.engine().sequences();
  }

  /**
   * Ends all completions, which fail, and frees the weights, except those of a model that trains.
   * Idempotent.
   *
   * @throws IllegalStateException if a call of its device is running; then nothing is freed
   */
  @Override
  public void close() {
    lifetime.close();
  }

  /**
   * Closes like {@link #close} after another thread's call of the device has returned; meanwhile
   * further calls throw {@link IllegalStateException}. It does not wait for completions. Any thread
   * may call it, outside a call of the device.
   *
   * @param patience maximum wait
   * @throws panamoe.api.PanamoeException.BadArgument if it is null
   * @throws IllegalStateException like {@link #close}, if the call still runs after {@code
   *     patience} or this thread is interrupted; its interrupt status stays set
   */
  public void closeWhenIdle(Duration patience) {
    lifetime.closeWhenIdle(patience);
  }
}
