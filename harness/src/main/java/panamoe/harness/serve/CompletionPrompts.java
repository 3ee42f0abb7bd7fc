package panamoe.harness.serve;

import java.util.ArrayList;
import java.util.List;
import panamoe.engine.GenerationRequest;
import tools.jackson.databind.JsonNode;

/** The prompts of a completion: a text, tokens, or an array of texts or of tokens. */
final class CompletionPrompts {
  private static final String NAME = "prompt";

  private CompletionPrompts() {}

  /**
   * Their tokens.
   *
   * @throws ApiError if the request has no prompt, or a wrong one
   */
  static List<int[]> of(Fields fields, ServedModel model) {
    JsonNode prompt = fields.required(NAME);
    boolean several = prompt.isArray() && !prompt.isEmpty() && !prompt.get(0).isIntegralNumber();
    List<int[]> prompts = new ArrayList<>();
    for (JsonNode one : several ? prompt : List.of(prompt)) {
      prompts.add(one(fields, one, model));
    }
    return prompts;
  }

  private static int[] one(Fields fields, JsonNode prompt, ServedModel model) {
    if (prompt.isString()) {
      return GenerationRequest.tokensOf(prompt.stringValue(), model.tokenizer());
    }
    if (!prompt.isArray() || prompt.isEmpty()) {
      throw fields.wrong(NAME, "is not a string, an array of tokens, or an array of those");
    }
    return fields.tokens(NAME, prompt, model.vocabulary());
  }
}
