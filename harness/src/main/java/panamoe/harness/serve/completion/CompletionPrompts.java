package panamoe.harness.serve.completion;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import tools.jackson.databind.JsonNode;

/** Prompts in a request: a string, tokens, or an array of strings or of token arrays. */
public final class CompletionPrompts {
  /** Most prompts of a request. */
  public static final int MOST = 2048;

  private CompletionPrompts() {}

  /**
   * The tokens of each prompt.
   *
   * @param name of the field
   * @param encode makes a string's tokens
   * @throws ApiError if the prompt is missing or wrong
   */
  public static List<int[]> of(
      Fields fields, String name, Function<String, int[]> encode, int vocabulary) {
    JsonNode prompt = fields.required(name);
    boolean several = prompt.isArray() && !prompt.isEmpty() && !prompt.get(0).isIntegralNumber();
    fields.require(!several || prompt.size() <= MOST, name, "has more than %s texts", MOST);
    List<int[]> prompts = new ArrayList<>();
    for (JsonNode one : several ? prompt : List.of(prompt)) {
      if (!one.isString() && (!one.isArray() || one.isEmpty())) {
        throw fields.wrong(name, "is not a string, an array of tokens, or an array of those");
      }
      prompts.add(
          one.isString() ? encode.apply(one.stringValue()) : fields.tokens(name, one, vocabulary));
    }
    return prompts;
  }
}
