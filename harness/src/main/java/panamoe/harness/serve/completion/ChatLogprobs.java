package panamoe.harness.serve.completion;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.ArrayList;
import java.util.List;
import panamoe.data.Tokenizer;
import panamoe.engine.sample.TokenLogprobs;

/** Log probabilities in the form of chat completions. */
public record ChatLogprobs(List<Token> content) {
  /**
   * @param topLogprobs null within such a list
   */
  public record Token(
      String token,
      double logprob,
      int[] bytes,
      @JsonInclude(JsonInclude.Include.NON_NULL) List<Token> topLogprobs) {}

  /** Those of some tokens; null if not asked for. */
  public static ChatLogprobs of(Tokenizer tokenizer, List<ChoiceEvent.Sampled> sampled) {
    if (sampled.isEmpty() || sampled.getFirst().logprobs() == null) {
      return null;
    }
    List<Token> content = new ArrayList<>();
    for (ChoiceEvent.Sampled next : sampled) {
      TokenLogprobs logprobs = next.logprobs();
      List<Token> top = new ArrayList<>();
      for (int i = 0; i < logprobs.tokens().length; i++) {
        top.add(token(tokenizer, logprobs.tokens()[i], logprobs.logprobs()[i], null));
      }
      content.add(token(tokenizer, next.token(), logprobs.logprob(), top));
    }
    return new ChatLogprobs(content);
  }

  private static Token token(Tokenizer tokenizer, int token, double logprob, List<Token> top) {
    return new Token(
        TokenText.of(tokenizer, token),
        TokenText.logprob(logprob),
        TokenText.bytes(tokenizer, token),
        top);
  }
}
