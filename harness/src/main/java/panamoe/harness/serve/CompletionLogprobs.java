package panamoe.harness.serve;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.data.Tokenizer;
import panamoe.data.Utf8Stream;
import panamoe.engine.sample.TokenLogprobs;

/**
 * Log probabilities in the form of completions.
 *
 * @param topLogprobs of the most probable tokens and the sampled one
 * @param textOffset the position of each token in the text, in Unicode code points
 */
record CompletionLogprobs(
    List<String> tokens,
    List<Double> tokenLogprobs,
    List<Map<String, Double>> topLogprobs,
    List<Integer> textOffset) {

  /** Collects those of one choice. */
  static final class Writer {
    private final Tokenizer tokenizer;
    private final Utf8Stream characters = new Utf8Stream();
    private int offset;

    Writer(Tokenizer tokenizer) {
      this.tokenizer = tokenizer;
    }

    /** Those of the next tokens; null if not asked for. */
    CompletionLogprobs next(List<ChoiceEvent.Sampled> sampled) {
      if (sampled.isEmpty() || sampled.getFirst().logprobs() == null) {
        return null;
      }
      CompletionLogprobs made =
          new CompletionLogprobs(
              new ArrayList<>(), new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
      for (ChoiceEvent.Sampled next : sampled) {
        TokenLogprobs logprobs = next.logprobs();
        Map<String, Double> top = new LinkedHashMap<>();
        for (int i = 0; i < logprobs.tokens().length; i++) {
          top.put(
              TokenText.of(tokenizer, logprobs.tokens()[i]),
              TokenText.logprob(logprobs.logprobs()[i]));
        }
        String text = TokenText.of(tokenizer, next.token());
        double logprob = TokenText.logprob(logprobs.logprob());
        top.putIfAbsent(text, logprob);
        made.tokens.add(text);
        made.tokenLogprobs.add(logprob);
        made.topLogprobs.add(top);
        made.textOffset.add(offset);
        String complete = characters.append(tokenizer.bytesOf(next.token()));
        offset += complete.codePointCount(0, complete.length());
      }
      return made;
    }
  }
}
