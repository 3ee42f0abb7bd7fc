package panamoe.text;

import java.util.function.Supplier;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Lifetime;
import panamoe.engine.GenerationRequest;
import panamoe.engine.sample.TokenConstraint;
import panamoe.engine.schedule.Engine;
import panamoe.grammar.JsonGrammar;
import panamoe.grammar.TokenMasks;
import panamoe.open.ConversationForm;

/** Begins the texts of a model. Used inside calls of the device. */
final class Texts {
  private final Engine engine;
  private final Origin origin;
  private final Lifetime model;
  private TokenMasks masks; // for schemas; made for the first one

  /**
   * @param model the lifetime of the model
   */
  Texts(Engine engine, Origin origin, Lifetime model) {
    this.engine = engine;
    this.origin = origin;
    this.model = model;
  }

  /**
   * Begins a text.
   *
   * @param ends where it ends as well
   */
  TextSession begin(int[] prompt, GenerationOptions options, ConversationForm.Ends ends) {
    GenerationOptions wanted = Argument.notNull("options", options);
    origin.weights().get(); // as the caller has changed them
    GenerationRequest request =
        new GenerationRequest(
            prompt,
            wanted.sampling().toConfig(),
            wanted.toStop(ends),
            -1,
            wanted.grammar().map(this::constraint).orElse(null),
            GenerationRequest.Terms.USUAL);
    return new TextSession(engine, request, model);
  }

  private Supplier<TokenConstraint> constraint(JsonGrammar grammar) {
    if (masks == null) {
      masks = TokenMasks.of(origin.tokenizer());
    }
    return grammar.constraint(masks);
  }
}
