package panamoe.djl;

import ai.djl.inference.streaming.StreamingTranslator;
import ai.djl.ndarray.NDList;
import ai.djl.translate.NoBatchifyTranslator;
import ai.djl.translate.TranslatorContext;
import java.util.stream.Stream;
import panamoe.text.GenerationOptions;

/**
 * Completes prompts with a model of {@link PanamoeEngine}: {@code predict} returns at the end,
 * {@code streamingPredict(...).getIterativeOutput()} before the first token is computed. Immutable.
 *
 * <p>Each {@link ai.djl.inference.Predictor} serves one thread; several predictors of a model may
 * be used by several threads at the same time. The model's option {@code sequences} limits the
 * completions that are generated together; the next one starts when another ends, whether anybody
 * reads its pieces or not.
 *
 * {@snippet file="panamoe/djl/PanamoeEngineExample.java" region="engine"}
 */
public final class TextTranslator
    implements StreamingTranslator<String, GeneratedText>,
        NoBatchifyTranslator<String, GeneratedText> {
  private final GenerationOptions options;

  /** For completions with these options. */
  public TextTranslator(GenerationOptions options) {
    this.options = options;
  }

  @Override
  public NDList processInput(TranslatorContext context, String prompt) {
    return TextBlock.list(new TextBlock.Request(prompt, options));
  }

  @Override
  public GeneratedText processOutput(TranslatorContext context, NDList output) {
    return new GeneratedText(Stream.of(output));
  }

  @Override
  public StreamOutput<GeneratedText> processStreamOutput(
      TranslatorContext context, Stream<NDList> output) {
    GeneratedText text = new GeneratedText(output);
    return new StreamOutput<>() {
      @Override
      public GeneratedText getIterativeOutputInternal() {
        return text;
      }

      @Override
      protected GeneratedText buildAsyncOutput() {
        throw pulled();
      }

      @Override
      protected void computeAsyncOutputInternal(GeneratedText output) {
        throw pulled();
      }
    };
  }

  @Override
  public Support getSupport() {
    return Support.ITERATIVE;
  }

  private static UnsupportedOperationException pulled() {
    return new UnsupportedOperationException("pieces come on request: call getIterativeOutput");
  }
}
