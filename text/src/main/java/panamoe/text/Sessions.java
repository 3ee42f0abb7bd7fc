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

/** Begins the sequences of a model. Used inside calls of the device. */
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

  TextSession begin(int[] prompt, GenerationOptions options) {
    GenerationOptions wanted = Argument.notNull("options", options);
    return begin(prompt, wanted, ChatFormat.Ends.NONE, ReplyForm.HERMES, Tools.NONE);
  }

  ChatSession chat(List<ChatMessage> messages, ChatOptions options) {
    Prompt prompt = origin.conversations().prompt(messages, options);
    ChatFormat format = origin.conversations().format();
    Tools tools = options.toTools();
    return new ChatSession(
        begin(format.tokens(prompt), options.text(), format.ends(), format.form(), tools),
        format.reply(prompt, options.text().schema() != null, tools));
  }

  /**
   * Begins a sequence.
   *
   * @param ends further ends
   * @param form the markup of calls, and of constrained output
   */
  private TextSession begin(
      int[] prompt, GenerationOptions options, ChatFormat.Ends ends, ReplyForm form, Tools tools) {
    origin.weights().get(); // with the caller's latest changes
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
