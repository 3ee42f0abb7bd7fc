package panamoe.text;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Lifetime;
import panamoe.engine.ConversationForm;
import panamoe.engine.Engine;
import panamoe.engine.GenerationRequest;
import panamoe.engine.TokenConstraint;
import panamoe.grammar.JsonGrammar;
import panamoe.grammar.TokenMasks;

/** The texts of a model that are under way. Used inside calls of the device. */
final class Texts {
  private final Engine engine;
  private final Origin origin;
  private final Lifetime model;
  private final List<TextSession> sessions = new ArrayList<>();
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
   * @throws IllegalStateException if as many texts as the model was opened for are under way
   */
  TextSession begin(int[] prompt, GenerationOptions options, ConversationForm.Ends ends) {
    GenerationOptions wanted = Argument.notNull("options", options);
    int most = origin.engine().sequences();
    sessions.removeIf(TextSession::over);
    if (sessions.size() == most) {
      throw new IllegalStateException(
          most
              + (most == 1 ? " text is" : " texts are")
              + " under way, and the model writes no more at a time: close one;"
              + " ModelOptions.texts asks for more of a model that is opened");
    }
    origin.weights().get(); // as the caller has changed them
    GenerationRequest request =
        new GenerationRequest(
            prompt,
            wanted.sampling().toConfig(),
            wanted.toStop(ends),
            -1,
            wanted.grammar().map(this::constraint).orElse(null),
            GenerationRequest.Terms.USUAL);
    TextSession session = new TextSession(engine, request, model);
    sessions.add(session);
    return session;
  }

  private Supplier<TokenConstraint> constraint(JsonGrammar grammar) {
    if (masks == null) {
      masks = TokenMasks.of(origin.tokenizer());
    }
    return grammar.constraint(masks);
  }
}
