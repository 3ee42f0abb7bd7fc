package panamoe.conversation;

import java.util.EnumMap;
import java.util.Map;
import java.util.function.Supplier;
import panamoe.conversation.reply.ReplyForm;
import panamoe.data.Tokenizer;
import panamoe.engine.sample.TokenConstraint;
import panamoe.grammar.CallGrammar;
import panamoe.grammar.CallMarkup;
import panamoe.grammar.FreeText;
import panamoe.grammar.JsonGrammar;
import panamoe.grammar.TokenMasks;

/** Makes the constraints on replies for one tokenizer. Thread-safe. */
public final class ReplyConstraints {
  private final Tokenizer tokenizer;
  // Made at the first use: this takes long for a large vocabulary.
  private TokenMasks masks;
  private final Map<ReplyForm, FreeText> freeTexts = new EnumMap<>(ReplyForm.class);

  public ReplyConstraints(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
  }

  /**
   * The constraint on a reply that may call functions, or is JSON when it does not call.
   *
   * @param form the markup of the model's replies
   * @param json the grammar of content; null for free text until a call
   * @return null without a constraint
   * @throws IllegalArgumentException if the schema of a function's arguments is not supported
   * @throws java.util.concurrent.CancellationException if the thread is interrupted; its interrupt
   *     status stays set
   */
  public Supplier<TokenConstraint> of(ReplyForm form, JsonGrammar json, Tools tools) {
    if (!tools.any()) {
      return json == null ? null : json.constraint(masks(), form.calls(tokenizer));
    }
    CallMarkup written = form.calls(tokenizer);
    CallGrammar calls = CallGrammar.of(written, tools.callable(), tools.several());
    if (tools.required()) {
      return calls.calls(masks());
    }
    return json == null
        ? calls.callsAfter(freeText(form, written), masks())
        : calls.callsOr(json, masks());
  }

  private synchronized TokenMasks masks() {
    if (masks == null) {
      masks = TokenMasks.of(tokenizer);
    }
    return masks;
  }

  private synchronized FreeText freeText(ReplyForm form, CallMarkup written) {
    return freeTexts.computeIfAbsent(form, _ -> CallGrammar.freeText(tokenizer, written));
  }
}
