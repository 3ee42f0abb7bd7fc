package panamoe.harness.serve.openai;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.data.Tokenizer;
import panamoe.data.Utf8Stream;
import panamoe.engine.sample.TokenLogprobs;
import panamoe.harness.serve.completion.ChoiceEvent;
import panamoe.harness.serve.completion.Echo;
import panamoe.harness.serve.completion.TokenText;

/**
 * Log probabilities in the form of completions. Those of a prompt's first token are null.
 *
 * @param topLogprobs of the most probable tokens and the sampled one
 * @param textOffset the position of each token in the text, in Unicode code points
 */
record CompletionLogprobs(
    List<String> tokens,
    List<Double> tokenLogprobs,
    List<Map<String, Double>> topLogprobs,
    List<Integer> textOffset) {

  /** These and further ones, which may be null. */
  CompletionLogprobs and(CompletionLogprobs more) {
    if (more != null) {
      tokens.addAll(more.tokens);
      tokenLogprobs.addAll(more.tokenLogprobs);
      topLogprobs.addAll(more.topLogprobs);
      textOffset.addAll(more.textOffset);
    }
    return this;
  }

  /** Collects those of one choice. */
  static final class Writer {
    private final Tokenizer tokenizer;
    private Utf8Stream characters = new Utf8Stream();
    private int offset;

    Writer(Tokenizer tokenizer) {
      this.tokenizer = tokenizer;
    }

    /** Those of a prompt, which come before all others. */
    CompletionLogprobs prompt(List<ChoiceEvent.Sampled> tokens) {
      characters = tokenizer.decoding();
      CompletionLogprobs made = next(tokens);
      String rest = characters.end();
      offset += rest.codePointCount(0, rest.length());
      characters = new Utf8Stream();
      return made;
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
        String text = TokenText.of(tokenizer, next.token());
        made.tokens.add(text);
        made.textOffset.add(offset);
        String complete = characters.append(tokenizer.bytesOf(next.token()));
        offset += complete.codePointCount(0, complete.length());
        if (logprobs == Echo.UNKNOWN) {
          made.tokenLogprobs.add(null);
          made.topLogprobs.add(null);
          continue;
        }
        Map<String, Double> top = new LinkedHashMap<>();
        for (int i = 0; i < logprobs.tokens().length; i++) {
          top.put(
              TokenText.of(tokenizer, logprobs.tokens()[i]),
              TokenText.logprob(logprobs.logprobs()[i]));
        }
        double logprob = TokenText.logprob(logprobs.logprob());
        top.putIfAbsent(text, logprob);
        made.tokenLogprobs.add(logprob);
        made.topLogprobs.add(top);
      }
      return made;
    }
  }
}
