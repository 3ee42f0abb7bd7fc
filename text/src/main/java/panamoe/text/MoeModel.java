package panamoe.text;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;
import panamoe.api.Device;
import panamoe.api.TrainableModel;
import panamoe.api.internal.Access;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.api.internal.Lifetime;
import panamoe.backend.Backend;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.data.ByteTokenizer;
import panamoe.data.JsonTokenizer;
import panamoe.data.Tokenizer;
import panamoe.engine.ConversationForm;
import panamoe.engine.Engine;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationRequest;
import panamoe.engine.InferenceSettings;
import panamoe.engine.ModelFolder;
import panamoe.engine.ModelRunner;
import panamoe.engine.TokenConstraint;
import panamoe.grammar.JsonGrammar;
import panamoe.grammar.TokenMasks;
import panamoe.model.LanguageModel;
import panamoe.parallel.Ranks;

/**
 * A language model that writes text. Only one thread at a time may call a {@link Device} and what
 * was created on it; methods that read no weights (encode, decode, the model's sizes) may be called
 * by any thread at any time. To train a model, use {@link TrainableModel}.
 *
 * {@snippet file="panamoe/text/MoeModelExample.java" region="model"}
 */
public final class MoeModel implements AutoCloseable {
  private final Supplier<LanguageModel> weights;
  private final ModelConfig config;
  private final long parameters;
  private final Backend backend;
  private final Tokenizer tokenizer;
  private final Conversations conversations;
  private final Sampling makers;
  private final List<String> warnings;
  private final Engine engine;
  private final int texts;
  private final Lifetime lifetime;
  private final List<TextSession> sessions = new ArrayList<>();
  private TokenMasks masks; // for schemas; made for the first one

  /** What differs between a model of a file and one that trains. */
  private record Origin(
      Tokenizer tokenizer,
      Conversations conversations,
      Sampling makers,
      List<String> warnings,
      Runnable close) {}

  /**
   * @param weights as kernels read them, asked for before each text
   * @param owner of the model's memory
   */
  private MoeModel(
      Backend backend,
      Supplier<LanguageModel> weights,
      Origin origin,
      EngineConfig engine,
      Lifetime owner) {
    LanguageModel model = weights.get();
    this.weights = weights;
    this.config = model.config();
    this.parameters = model.parameters().count();
    this.backend = backend;
    this.tokenizer = origin.tokenizer();
    this.conversations = origin.conversations();
    this.makers = origin.makers();
    this.warnings = List.copyOf(origin.warnings());
    this.texts = engine.sequences();
    try {
      this.engine = new Engine(backend, model, tokenizer, engine);
    } catch (RuntimeException | Error e) {
      origin.close().run();
      throw e;
    }
    this.lifetime =
        owner.begin(
            "the model",
            () -> {
              this.engine.close();
              origin.close().run();
            });
  }

  /** Opens a model with {@link ModelOptions#USUAL}; see below. */
  public static MoeModel open(Device device, Path path) {
    return open(device, path, ModelOptions.USUAL);
  }

  /**
   * Opens a model: a run's latest checkpoint or {@link TrainableModel#save}'s, one checkpoint, a
   * quantized model, or a released one, which is a folder in Hugging Face's layout or a GGUF file.
   * A model that drops tokens in training writes without, because a token would depend on its
   * neighbours.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if an argument is null
   * @throws panamoe.api.PanamoeException.BadModel if there is no intact model, it does not fit into
   *     memory, or its tokenizer is unsupported or not the model's
   * @throws IllegalStateException if the device is closed or in use by another thread; all methods
   *     that compute throw it too, and after {@link #close}
   */
  public static MoeModel open(Device device, Path path, ModelOptions options) {
    return Access.lifetimeOf(device)
        .use(
            () -> {
              Argument.notNull("options", options);
              ModelFolder found = ModelFolder.open(Argument.notNull("path", path));
              Backend backend = Access.backendOf(device);
              Tokenizer tokenizer = found.tokenizer();
              Sampling makers = Sampling.of(found.tokenizerFiles().sampling());
              EngineConfig engine = EngineConfig.of(options.texts(), found.config().context());
              List<String> warnings = new ArrayList<>();
              InferenceSettings settings = InferenceSettings.of(options.types(found));
              LanguageModel model = found.load(backend, settings, Ranks.alone(), warnings, _ -> {});
              Conversations conversations =
                  model.config().encoder() == null
                      ? new Conversations(() -> ConversationForm.of(found))
                      : Conversations.none();
              Origin origin = new Origin(tokenizer, conversations, makers, warnings, model::close);
              return new MoeModel(backend, () -> model, origin, engine, Access.lifetimeOf(device));
            });
  }

  /**
   * A model that writes with the weights of one that trains, without a copy. A text begun before
   * they change is of both: tokens that were computed stay in its cache, and a model in BFLOAT16
   * rounds what the caller wrote when a text begins. Its tokens are bytes and an end of text, and
   * messages of its conversations are lines. It is closed with the other.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if the vocabulary is not that of bytes, the
   *     model drops tokens (save and open it), or several ranks hold it
   * @throws IllegalStateException as {@link #open(Device, Path)}
   */
  public static MoeModel of(TrainableModel model) {
    return of(model, ByteTokenizer::new);
  }

  /**
   * As above, with the tokens of a tokenizer.
   *
   * @param tokenizer a {@code tokenizer.json}
   * @throws panamoe.api.PanamoeException.BadModel if it cannot be used
   */
  public static MoeModel of(TrainableModel model, Path tokenizer) {
    return of(model, () -> JsonTokenizer.load(Argument.notNull("tokenizer", tokenizer)));
  }

  private static MoeModel of(TrainableModel model, Supplier<Tokenizer> reader) {
    Lifetime owner = Access.lifetimeOf(model);
    return owner.use(
        () -> {
          Tokenizer tokenizer = reader.get();
          LanguageModel weights = Access.weightsOf(model);
          requireWrites(weights, tokenizer);
          // What earlier texts left in the cache is of earlier weights.
          EngineConfig engine = EngineConfig.one(weights.config().context()).withoutSharing();
          Conversations lines = new Conversations(() -> ConversationForm.lines(tokenizer));
          Origin origin = new Origin(tokenizer, lines, Sampling.of(1, 0), List.of(), () -> {});
          return new MoeModel(
              Access.backendOf(model), () -> Access.weightsOf(model), origin, engine, owner);
        });
  }

  private static void requireWrites(LanguageModel model, Tokenizer tokenizer) {
    ModelConfig config = model.config();
    if (!tokenizer.fits(config.vocabulary())) {
      throw new IllegalArgumentException(
          "the tokenizer has "
              + tokenizer.vocabularySize()
              + " tokens but the model has a vocabulary of "
              + config.vocabulary());
    }
    if (!config.withGates(GateConfig::withoutDropping).equals(config)) {
      throw new IllegalArgumentException(
          "the model drops tokens beyond its experts' capacity, so that a text would depend on its"
              + " neighbours: save the model and open it, which leaves that out");
    }
    if (model.parameters().ranks().world().size() > 1) {
      throw new IllegalArgumentException(
          "several ranks hold the model: save it, and open it on one");
    }
  }

  /** The loader's warnings, one sentence each; usually empty. */
  public List<String> warnings() {
    return warnings;
  }

  /** Number of parameters. */
  public long parameterCount() {
    return parameters;
  }

  /** The number of experts of each layer; 0 is a dense layer. */
  public List<Integer> experts() {
    return config.experts();
  }

  /** The longest sequence in tokens. */
  public int context() {
    return config.context();
  }

  /** How the model's makers draw its tokens; from all of them where they say nothing. */
  public Sampling makersSampling() {
    return makers;
  }

  /** The tokens of a text. */
  public int[] encode(String text) {
    return Failures.translating(() -> tokenizer.encode(Argument.notNull("text", text)));
  }

  /**
   * The tokens of a conversation up to the assistant's next message: the prompt of {@link #chat}.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if there are no messages, the model's template
   *     refuses them, or the model has an encoder and thus no conversations
   * @throws panamoe.api.PanamoeException.BadModel if its template cannot be used
   */
  public int[] encode(List<ChatMessage> messages) {
    return Failures.translating(() -> conversations.prompt(messages));
  }

  /**
   * The text of tokens.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if there is no such token
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
   * @throws panamoe.api.PanamoeException.BadArgument if {@code tokens} is empty, longer than the
   *     context, or has a token outside the vocabulary
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
          return ModelRunner.nextLogits(backend, weights.get(), tokens);
        });
  }

  /** Continues a prompt; see below. */
  public GenerationResult generate(String prompt, GenerationOptions options) {
    return generate(prompt, options, _ -> {});
  }

  /**
   * Continues a prompt. An interrupted thread's text ends as {@link FinishReason#CANCELLED}, and
   * the thread stays interrupted.
   *
   * @param onText receives the text piece by piece, between the model's calls. An exception that it
   *     throws ends the text and reaches the caller
   * @throws panamoe.api.PanamoeException.BadArgument if the prompt has more tokens than the
   *     context, or an argument is null
   * @throws IllegalStateException also if as many texts as the model was opened for are under way
   */
  public GenerationResult generate(
      String prompt, GenerationOptions options, Consumer<String> onText) {
    Failures.translating(() -> Argument.notNull("onText", onText));
    return finish(begin(prompt, options), onText);
  }

  private static GenerationResult finish(TextSession begun, Consumer<String> onText) {
    try (TextSession text = begun) {
      for (Optional<Token> next = text.next(); next.isPresent(); next = text.next()) {
        if (!next.get().text().isEmpty()) {
          onText.accept(next.get().text());
        }
      }
      return text.result();
    }
  }

  /** Answers a conversation; see below. */
  public GenerationResult chat(List<ChatMessage> messages, GenerationOptions options) {
    return chat(messages, options, _ -> {});
  }

  /**
   * Answers a conversation, as {@link #generate} continues a prompt, in the form of the model's
   * chat template; a released model without one has a usual one of its family, and any other writes
   * lines, {@code role: content}. Only the template can spell special tokens, no message can. The
   * answer ends where the model's turns do, which is {@link FinishReason#STOP}, or as {@code
   * options} say. It is as the model writes it, thoughts included.
   *
   * {@snippet file="panamoe/text/MoeModelExample.java" region="chat"}
   *
   * @param messages the conversation; its last message is the user's
   * @throws panamoe.api.PanamoeException.BadArgument as {@link #generate} and {@link #encode(List)}
   * @throws panamoe.api.PanamoeException.BadModel if the template cannot be used
   * @throws IllegalStateException as {@link #generate}
   */
  public GenerationResult chat(
      List<ChatMessage> messages, GenerationOptions options, Consumer<String> onText) {
    Failures.translating(() -> Argument.notNull("onText", onText));
    return finish(beginChat(messages, options), onText);
  }

  /** Begins an answer that the caller draws token by token, and closes; see {@link #chat}. */
  public TextSession beginChat(List<ChatMessage> messages, GenerationOptions options) {
    return lifetime.use(() -> start(conversations.prompt(messages), options, conversations.ends()));
  }

  /**
   * Begins a text that the caller draws token by token, and closes.
   *
   * @throws panamoe.api.PanamoeException.BadArgument as {@link #generate}
   * @throws IllegalStateException as {@link #generate}
   */
  public TextSession begin(String prompt, GenerationOptions options) {
    return lifetime.use(
        () ->
            start(
                GenerationRequest.tokensOf(
                    Argument.notNull("prompt", prompt), tokenizer, context()),
                options,
                ConversationForm.Ends.NONE));
  }

  /**
   * As above, behind tokens.
   *
   * @param prompt 1 or more ids, which are copied
   */
  public TextSession begin(int[] prompt, GenerationOptions options) {
    return lifetime.use(
        () ->
            start(Argument.notNull("prompt", prompt).clone(), options, ConversationForm.Ends.NONE));
  }

  private TextSession start(int[] prompt, GenerationOptions options, ConversationForm.Ends ends) {
    GenerationOptions wanted = Argument.notNull("options", options);
    sessions.removeIf(TextSession::over);
    if (sessions.size() == texts) {
      throw new IllegalStateException(
          texts
              + (texts == 1 ? " text is" : " texts are")
              + " under way, and the model writes no more at a time: close one;"
              + " ModelOptions.texts asks for more of a model that is opened");
    }
    weights.get(); // as the caller has changed them
    GenerationRequest request =
        new GenerationRequest(
            prompt,
            wanted.sampling().toConfig(),
            wanted.toStop(ends),
            -1,
            wanted.grammar().map(this::constraint).orElse(null),
            GenerationRequest.Terms.USUAL);
    TextSession session = new TextSession(engine, request, lifetime);
    sessions.add(session);
    return session;
  }

  private Supplier<TokenConstraint> constraint(JsonGrammar grammar) {
    if (masks == null) {
      masks = TokenMasks.of(tokenizer);
    }
    return grammar.constraint(masks);
  }

  /**
   * Ends all texts and frees the weights, unless they are those of a model that trains. Idempotent.
   *
   * @throws IllegalStateException if a call of its device is running; then nothing is freed
   */
  @Override
  public void close() {
    lifetime.close();
  }
}
