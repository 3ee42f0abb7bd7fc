package panamoe.text;

import java.util.concurrent.atomic.AtomicBoolean;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.api.internal.Lifetime;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.ReplyConstraints;
import panamoe.conversation.Tools;
import panamoe.conversation.reply.Reply;
import panamoe.conversation.reply.ReplyForm;
import panamoe.conversation.template.Prompt;
import panamoe.engine.GenerationHandle;
import panamoe.engine.GenerationRequest;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.EngineThread;

/** Begins the completions of a model, which its engine generates on a thread. Thread-safe. */
final class Completions {
  private final ModelSource origin;
  private final int context;
  private final Lifetime model;
  private final EngineThread engine;
  private final ReplyConstraints constraints;
  // Whether a sequence has come since the weights were prepared.
  private final AtomicBoolean fresh = new AtomicBoolean();

  /**
   * @param model the lifetime of the model
   */
  Completions(Engine engine, ModelSource origin, int context, Lifetime model) {
    this.origin = origin;
    this.context = context;
    this.model = model;
    this.constraints = new ReplyConstraints(origin.tokenizer());
    this.engine = new EngineThread(engine, step -> model.turn(() -> turn(step)));
  }

  private void turn(Runnable step) {
    if (fresh.getAndSet(false)) {
      origin.weights().get(); // with the caller's latest changes
    }
    step.run();
  }

  /** What the engine is asked for, and what reads it. */
  private record Asked(GenerationRequest request, Reply reply) {}

  /**
   * Begins a completion.
   *
   * @param onEnd called by the engine's thread before the completion ends
   */
  void begin(TextRequest request, TextCompletion completion, Runnable onEnd) {
    model.requireOutside();
    Failures.run(
        () -> {
          Asked asked = asked(Argument.notNull("request", request));
          int maxTokens = asked.request.stop().maxTokens();
          CompletionWriter writer =
              new CompletionWriter(completion, asked.reply, maxTokens, onEnd, this::closed);
          fresh.set(true);
          GenerationHandle handle = submit(asked.request, writer);
          completion.begun(handle::cancel);
        });
  }

  private GenerationHandle submit(GenerationRequest request, CompletionWriter writer) {
    try {
      return engine.submit(request, writer);
    } catch (IllegalStateException e) {
      throw over("the model is closed", e);
    }
  }

  private IllegalStateException closed() {
    return over("the model was closed before the completion ended", null);
  }

  /** Why the engine ended. */
  private IllegalStateException over(String closed, Throwable cause) {
    Throwable failure = engine.failure();
    return failure == null
        ? new IllegalStateException(closed, cause)
        : new IllegalStateException(
            "the model generates no more, because its engine failed: "
                + CompletionWriter.translated(failure).getMessage(),
            failure);
  }

  private Asked asked(TextRequest request) {
    return switch (request.input()) {
      case TextRequest.Prompt(String text, GenerationOptions options) ->
          asked(request, GenerationRequest.tokensOf(text, origin.tokenizer(), context), options);
      case TextRequest.PromptTokens(var tokens, GenerationOptions options) ->
          asked(request, tokens.stream().mapToInt(id -> id).toArray(), options);
      case TextRequest.Chat(var messages, ChatOptions options) -> {
        Prompt prompt = origin.conversations().prompt(messages, options);
        ChatFormat format = origin.conversations().format();
        Tools tools = options.toTools();
        GenerationOptions text = options.text();
        yield new Asked(
            engineRequest(
                request, format.tokens(prompt), text, format.ends(), format.form(), tools),
            format.reply(prompt, text.schema() != null, tools));
      }
    };
  }

  private Asked asked(TextRequest request, int[] prompt, GenerationOptions options) {
    return new Asked(
        engineRequest(request, prompt, options, ChatFormat.Ends.NONE, ReplyForm.HERMES, Tools.NONE),
        null);
  }

  /**
   * The engine's request.
   *
   * @param ends further ends
   * @param form the markup of calls, and of constrained output
   */
  private GenerationRequest engineRequest(
      TextRequest request,
      int[] prompt,
      GenerationOptions options,
      ChatFormat.Ends ends,
      ReplyForm form,
      Tools tools) {
    GenerationRequest.Terms terms = request.terms(); // a grammar counts toward the deadline
    return new GenerationRequest(
        prompt,
        options.sampling().toConfig(),
        options.toStop(ends),
        request.logprobs(),
        constraints.of(form, options.grammar().orElse(null), tools),
        terms);
  }

  /** Ends all completions. Called within a turn. */
  void end() {
    engine.end();
  }
}
