package panamoe.harness.serve.completion;

import java.util.ArrayList;
import java.util.List;
import panamoe.conversation.reply.FunctionCall;
import panamoe.conversation.reply.Reply;
import panamoe.engine.Generation;

/** One choice so far. Its text is read as a reply: thoughts, content and calls. */
public final class StreamedChoice {
  private final Reply reply;
  private final StringBuilder text = new StringBuilder();
  private final List<ChoiceEvent.Sampled> sampled = new ArrayList<>();
  private Generation generation;

  /**
   * @param reply reads the text; null if all of it is content
   */
  public StreamedChoice(Reply reply) {
    this.reply = reply;
  }

  /** Adds a piece and returns what the reply says in it. */
  Reply.Read add(ChoiceEvent.Piece piece) {
    sampled.addAll(piece.sampled());
    if (reply != null) {
      return reply.next(piece.marked(), piece.sampled().size());
    }
    text.append(piece.text());
    return new Reply.Read("", piece.text(), List.of());
  }

  /** Ends it and returns what the reply held back. */
  Reply.Read end(Generation ended) {
    generation = ended;
    return reply == null ? new Reply.Read("", "", List.of()) : reply.end(ended.cut());
  }

  public String content() {
    return reply == null ? text.toString() : reply.content();
  }

  public String reasoning() {
    return reply == null ? "" : reply.reasoning();
  }

  public List<FunctionCall> calls() {
    return reply == null ? List.of() : reply.calls();
  }

  long thoughtTokens() {
    return reply == null ? 0 : reply.thoughtTokens();
  }

  public List<ChoiceEvent.Sampled> sampled() {
    return sampled;
  }

  public Generation generation() {
    return generation;
  }

  /** A choice that ends with a call has the reason tool_calls. */
  public Finish finish() {
    Finish finish = Finish.of(generation.end());
    boolean called = reply != null && reply.called() && finish.reason().equals("stop");
    return called ? new Finish("tool_calls", null) : finish;
  }
}
