package panamoe.engine.schedule;

import java.util.Arrays;
import java.util.List;
import panamoe.engine.GenerationHandle;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationRequest;
import panamoe.engine.routes.RouteCounts;
import panamoe.engine.routes.RouteLayout;
import panamoe.engine.routes.RoutedLayer;
import panamoe.engine.sample.SamplerState;
import panamoe.engine.sample.TokenConstraint;

/**
 * A text that an engine writes, from its request to its end: its tokens, the blocks that hold their
 * keys and values, and what has been told of it. Used by the engine's thread; others may {@link
 * #cancel} it.
 */
final class Sequence implements GenerationHandle {
  private static final int NONE = -1;

  final GenerationRequest request;
  final GenerationListener listener;
  final long arrival;
  final long submitted;
  final SamplerState sampler;
  // null where the text is free.
  final TokenConstraint constraint;
  final Detokenizer text;
  // Experts of its rows in each MoE layer; null: as many as gates choose.
  final int[] topK;
  // null where nothing is told of its routes.
  final RouteLayout routes;
  final RouteCounts counts;
  volatile boolean cancelled;
  // What an encoder reads of it, when its first token is computed; null without an encoder.
  final int[] source;

  int[] tokens;
  int length;
  // How many of the tokens have their keys and values in the cache.
  int computed;
  // How many of the tokens have their routes in the counts.
  int counted;
  int[] blocks = new int[0];
  int held;
  // The first of them that has its block of layers with a window, and the one behind the last.
  int windowFirst;
  int windowEnd;
  // The name of the text of the first `named` blocks.
  Prefix prefix;
  int named;
  // Where it runs; NONE while it waits.
  int rank = NONE;
  int slot = NONE;
  int written;
  int shared = NONE;
  // Blocks that it was promised when it started.
  int promised;
  long started;
  long first;
  // The row of the step's logits from which its next token is drawn, and these logits as the model
  // gave them, if their probabilities are told.
  int logitsRow;
  float[] logits;

  /**
   * @param arrival its number among all sequences
   * @param layers the model's MoE layers, as its routing has them
   * @param topK experts of its rows in each; null: as many as gates choose
   * @param source what an encoder reads; null: the text goes on with its prompt
   * @param startToken begins it behind a source
   */
  Sequence(
      GenerationRequest request,
      GenerationListener listener,
      Detokenizer text,
      long arrival,
      List<RoutedLayer> layers,
      int[] topK,
      int[] source,
      int startToken) {
    this.request = request;
    this.listener = listener;
    this.text = text;
    this.arrival = arrival;
    this.submitted = System.nanoTime();
    this.topK = topK;
    this.routes = request.routing().told() ? new RouteLayout(layers) : null;
    this.counts = request.routing().statistics() ? new RouteCounts(layers) : null;
    this.constraint = request.constraint() == null ? null : request.constraint().get();
    this.sampler = new SamplerState(request.sampling());
    this.source = source;
    int[] begin = source == null ? request.prompt() : new int[] {startToken};
    this.tokens = Arrays.copyOf(begin, begin.length + 64);
    this.length = begin.length;
    Arrays.stream(begin).forEach(sampler::read);
  }

  @Override
  public void cancel() {
    cancelled = true;
  }

  /** Whether its deadline is over at {@code now}, by {@link System#nanoTime}. */
  boolean late(long now) {
    long deadline = request.terms().deadline();
    return deadline != GenerationRequest.Terms.NEVER && deadline - now <= 0;
  }

  boolean running() {
    return slot != NONE;
  }

  /** Tokens whose keys and values are to be computed, the last one's among them. */
  int left() {
    return length - computed;
  }

  /** Most tokens that it may still write. */
  int growth(int context) {
    return Math.min(request.stop().maxTokens() - written, context - length);
  }

  /** Makes room for {@code count} more tokens. */
  void reserve(int count) {
    if (length + count > tokens.length) {
      tokens = Arrays.copyOf(tokens, Math.max(2 * length, length + count));
    }
  }

  void append(int token) {
    reserve(1);
    tokens[length++] = token;
  }

  void hold(int block) {
    if (held == blocks.length) {
      blocks = Arrays.copyOf(blocks, Math.max(8, 2 * held));
    }
    blocks[held++] = block;
  }

  /** Forgets all but the last {@code kept} tokens; nothing of them is computed. */
  void slide(int kept) {
    System.arraycopy(tokens, length - kept, tokens, 0, kept);
    counted = Math.max(0, counted - (length - kept));
    length = kept;
  }
}
