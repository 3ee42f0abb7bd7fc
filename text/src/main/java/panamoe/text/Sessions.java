package panamoe.text;

import java.util.List;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Lifetime;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.ReplyConstraints;
import panamoe.conversation.Tools;
import panamoe.conversation.reply.ReplyForm;
import panamoe.conversation.template.Prompt;
import panamoe.engine.GenerationRequest;
import panamoe.engine.schedule.Engine;

/** Begins the texts of a model. Used inside calls of the device. */
final class Sessions {
  private final Engine engine;
  private final ModelSource origin;
  private final Lifetime model;
  private final ReplyConstraints constraints;

  /**
   * @param model the lifetime of the model
   */
  Sessions(Engine engine, ModelSource origin, Lifetime model) {
    this.engine = engine;
    this.origin = origin;
    this.model = model;
    this.constraints = new ReplyConstraints(origin.tokenizer());
  }

  /** Begins a text. */
  TextSession begin(int[] prompt, GenerationOptions options) {
    GenerationOptions wanted = Argument.notNull("options", options);
    return begin(prompt, wanted, ChatFormat.Ends.NONE, ReplyForm.HERMES, Tools.NONE);
  }

  /** Begins a reply. */
  ChatSession chat(List<ChatMessage> messages, ChatOptions options) {
    Prompt prompt = origin.conversations().prompt(messages, options);
    ChatFormat format = origin.conversations().format();
    Tools tools = options.toTools();
    return new ChatSession(
        begin(format.tokens(prompt), options.text(), format.ends(), format.form(), tools),
        format.reply(prompt, options.text().schema() != null, tools));
  }

  /**
   * Begins a text.
   *
   * @param ends where it ends as well
   * @param form of calls, and of what keeps to a schema
   */
  private TextSession begin(
      int[] prompt, GenerationOptions options, ChatFormat.Ends ends, ReplyForm form, Tools tools) {
    origin.weights().get(); // as the caller has changed them
    GenerationRequest request =
        new GenerationRequest(
            prompt,
            options.sampling().toConfig(),
            options.toStop(ends),
            -1,
            constraints.of(form, options.grammar().orElse(null), tools),
            GenerationRequest.Terms.USUAL);
    return new TextSession(engine, request, model);
  }
}
