package panamoe.djl;

import ai.djl.inference.streaming.StreamingBlock;
import ai.djl.ndarray.NDList;
import ai.djl.nn.AbstractSymbolBlock;
import ai.djl.nn.ParameterList;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import ai.djl.util.passthrough.PassthroughNDArray;
import java.util.Iterator;
import java.util.stream.Stream;
import panamoe.text.GenerationOptions;
import panamoe.text.GenerationResult;
import panamoe.text.TextRequest;
import panamoe.text.TextService;

/**
 * A language model as a block. Its input is a {@link Request}, its output a {@link
 * GenerationResult}; a stream has pieces of text first.
 */
final class TextBlock extends AbstractSymbolBlock implements StreamingBlock {
  /**
   * A request for a completion.
   *
   * @param prompt to continue
   * @param options of the completion
   */
  record Request(String prompt, GenerationOptions options) {}

  private final TextService service;

  TextBlock(TextService service) {
    this.service = service;
  }

  @Override
  protected NDList forwardInternal(
      ParameterStore parameters,
      NDList inputs,
      boolean training,
      PairList<String, Object> arguments) {
    try (TextPieces pieces = begin(inputs)) {
      Object last = null;
      while (pieces.hasNext()) {
        last = content(pieces.next());
      }
      return list(last);
    }
  }

  @Override
  public Iterator<NDList> forwardStreamIter(
      ParameterStore parameters,
      NDList inputs,
      boolean training,
      PairList<String, Object> arguments) {
    return begin(inputs);
  }

  /** A stream that cancels the completion when it is closed. */
  @Override
  public Stream<NDList> forwardStream(
      ParameterStore parameters,
      NDList inputs,
      boolean training,
      PairList<String, Object> arguments) {
    TextPieces pieces = begin(inputs);
    return pieces.stream().onClose(pieces::close);
  }

  /** Empty: DJL cannot train it. */
  @Override
  public ParameterList getDirectParameters() {
    return new ParameterList();
  }

  private TextPieces begin(NDList inputs) {
    if (!(content(inputs) instanceof Request request)) {
      throw new IllegalArgumentException(
          "the model's input is no prompt of a " + TextTranslator.class.getSimpleName());
    }
    return Failures.translating(
        () -> new TextPieces(service.submit(TextRequest.of(request.prompt(), request.options()))));
  }

  /** A list that carries an object. */
  static NDList list(Object content) {
    return new NDList(new PassthroughNDArray(content));
  }

  /** The object that a list carries; null for other lists. */
  static Object content(NDList list) {
    return list.size() == 1 && list.head() instanceof PassthroughNDArray carrier
        ? carrier.getObject()
        : null;
  }
}
