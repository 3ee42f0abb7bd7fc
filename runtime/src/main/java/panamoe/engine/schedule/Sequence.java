package panamoe.engine.schedule;

import java.util.Arrays;
import java.util.List;
import panamoe.engine.GenerationHandle;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationRequest;
import panamoe.engine.Readout;
import panamoe.engine.routes.RouteCounts;
import panamoe.engine.routes.RouteLayout;
import panamoe.engine.routes.RoutedLayer;
import panamoe.engine.sample.SamplerState;
import panamoe.engine.sample.TokenConstraint;

/**
 * A sequence from its request to its end: its tokens, the blocks with their keys and values, and
 * what its listener has got. Used by the engine's thread; other threads may {@link #cancel} it.
 */
final class Sequence implements GenerationHandle {
  private static final int NONE = -1;

  final GenerationRequest request;
  final GenerationListener listener;
  final long arrival;
  final long submitted;
  final QueueEvent queued = new QueueEvent();
  final FirstTokenEvent untilFirst = new FirstTokenEvent();
  final SamplerState sampler;
  // null without a constraint
  final TokenConstraint constraint;
  final Detokenizer text;
  // Experts per row in each MoE layer; null for the gates' own K.
  final int[] topK;
  // Index of its adapter; 0 for none.
  int adapter;
  // null if no routes are reported
  final RouteLayout routes;
  final RouteCounts counts;
  // The routes of its first tokens, for the engine's recorder; null if they are not recorded.
  List<float[]> rows;
  volatile boolean cancelled;
  // What is still read of the prompt; null if only the completion is left.
  Reading reading;
  // What an encoder reads when the first token is computed; null without an encoder.
  final int[] source;

  int[] tokens;
  int length;
  // Tokens whose keys and values are in the cache.
  int computed;
  // Tokens whose routes are counted.
  int counted;
  int[] blocks = new int[0];
  int held;
  // The first block that has a block of layers with a window, and the end of that range.
  int windowFirst;
  int windowEnd;
  // The name of the tokens in the first `named` blocks.
  Prefix prefix;
  int named;
  // Its data rank; NONE while it waits.
  int rank = NONE;
  int slot = NONE;
  int written;
  int shared = NONE;
  // Blocks that were reserved when it started.
  int promised;
  long started;
  long first;
  // The row of the step's logits from which its next token is sampled, and a copy of the model's
  // logits if log probabilities are reported.
  int logitsRow;
  float[] logits;

  /**
   * @param arrival its number in order of arrival
   * @param layers the model's MoE layers with its top-k
   * @param topK experts per row in each MoE layer; null for the gates' own K
   * @param source what an encoder reads; null if the sequence continues its prompt
   * @param startToken first token of the decoder
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
    this.routes = request.routing().reported() ? new RouteLayout(layers) : null;
    this.counts = request.routing().statistics() ? new RouteCounts(layers) : null;
    this.constraint = request.constraint() == null ? null : request.constraint().get();
    this.sampler = new SamplerState(request.sampling());
    this.source = source;
    Reading asked =
        request.readout() == null ? null : new Reading(request.readout(), request.prompt().length);
    this.reading = asked == null || asked.done() ? null : asked;
    int[] begin = source == null ? request.prompt() : new int[] {startToken};
    this.tokens = Arrays.copyOf(begin, begin.length + 64);
    this.length = begin.length;
    Arrays.stream(begin).forEach(sampler::read);
  }

  @Override
  public void cancel() {
    cancelled = true;
  }

  /** Whether its deadline has passed at {@code now}, by {@link System#nanoTime}. */
  boolean late(long now) {
    long deadline = request.terms().deadline();
    return deadline != GenerationRequest.Terms.NEVER && deadline - now <= 0;
  }

  /** Whether its steps' routes are read. */
  boolean readsRoutes() {
    return rows != null || request.routing().reported();
  }

  boolean running() {
    return slot != NONE;
  }

  /** Tokens whose keys and values are still to be computed, the last token included. */
  int left() {
    return length - computed;
  }

  /** Whether the row at {@code position} is asked for. */
  boolean wants(int position) {
    return reading == null ? position >= length - 1 : reading.wants(position);
  }

  /** The number of first tokens that need not be computed if their keys and values are known. */
  int skips() {
    return reading == null ? length - 1 : reading.skips();
  }

  /** Whether its rows end in hidden states, not in logits. */
  boolean readsHidden() {
    return reading != null && reading.ofHidden();
  }

  /** Whether it reads rows of its prompt, and writes nothing. */
  boolean readsRows() {
    return request.readout() != null && request.readout() != Readout.LOGPROBS;
  }

  /** Whether log probabilities of its prompt are read. */
  boolean scores() {
    return reading != null && request.readout() == Readout.LOGPROBS;
  }

  /** Most tokens that it may still generate. */
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

  /** Drops all but the last {@code kept} tokens; all of them must be computed again. */
  void slide(int kept) {
    System.arraycopy(tokens, length - kept, tokens, 0, kept);
    counted = Math.max(0, counted - (length - kept));
    length = kept;
    rows = null; // no text has these rows: they began elsewhere
  }
}
