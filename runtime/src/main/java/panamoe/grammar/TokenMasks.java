package panamoe.grammar;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.IntStream;
import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.io.Require;

/**
 * The tokens that may continue output in a state. Created once for a tokenizer and shared by all
 * grammars; the masks of recent states are cached. Thread-safe.
 *
 * <p>Within a string most tokens are allowed, and walking through all of them takes long. What they
 * do within the string does not depend on its surroundings. It is computed once for each position
 * in a string; then only the tokens that continue after the string's end are walked.
 */
public final class TokenMasks {
  private static final int MOST_STATES = 512;
  private static final int MOST_TEXTS = 128;

  /**
   * What tokens do in a string.
   *
   * @param tokens that stay in it or end with it
   * @param ends trie nodes at which the string ends; tokens below them continue after it
   */
  private record Inside(BitSet tokens, int[] ends) {}

  private final Tokenizer tokenizer;
  private final TokenTrie trie;
  private final Map<State, BitSet> masks = kept(MOST_STATES);
  private final Map<Rule.Run, Inside> insides = kept(MOST_TEXTS);

  private TokenMasks(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
    trie = new TokenTrie(tokenizer);
  }

  /**
   * For the tokens of a tokenizer.
   *
   * @throws IllegalArgumentException if a byte of JSON is not a token: in some state no token would
   *     be allowed
   */
  public static TokenMasks of(Tokenizer tokenizer) {
    TokenMasks masks = new TokenMasks(tokenizer);
    BitSet bytes = new BitSet();
    for (int token = 0; token < tokenizer.vocabularySize(); token++) {
      byte[] text = tokenizer.bytesOf(token);
      if (text.length == 1 && !tokenizer.endsText(token)) {
        bytes.set(text[0] & 0xff);
      }
    }
    // UTF-8 never has the bytes C0, C1 and F5 to FF.
    IntStream.rangeClosed(' ', 0xf4)
        .filter(value -> value != 0xc0 && value != 0xc1 && !bytes.get(value))
        .findFirst()
        .ifPresent(
            value -> {
              throw Require.refusal(
                  "the tokenizer has no token for the byte %s alone: it cannot keep to a grammar",
                  value);
            });
    return masks;
  }

  /** The tokens allowed in a state, with the end of text; not to be changed. */
  BitSet allowed(State state) {
    return get(masks, state.alike(trie.longest()), this::mask);
  }

  /** The state after a token; null if it is not allowed. */
  State after(State state, int token) {
    byte[] bytes = Markers.bytes(tokenizer, token);
    State after = bytes.length == 0 || tokenizer.endsText(token) ? null : state;
    for (int i = 0; after != null && i < bytes.length; i++) {
      after = after.step(bytes[i] & 0xff);
    }
    return after;
  }

  private BitSet mask(State state) {
    BitSet mask = new BitSet(tokenizer.vocabularySize());
    for (int end : tokenizer.ends()) {
      mask.set(end, state.mayEnd());
    }
    List<Stack> others = new ArrayList<>();
    for (Stack stack : state.stacks()) {
      if (stack.top instanceof Rule.Run run) {
        Inside inside = get(insides, run, this::inside);
        mask.or(inside.tokens);
        State after = State.after(stack.below);
        for (int end : inside.ends) {
          walk(end, after, mask);
        }
      } else {
        others.add(stack);
      }
    }
    walk(TokenTrie.ROOT, State.of(others), mask);
    return mask;
  }

  private void walk(int from, State state, BitSet mask) {
    trie.walk(
        from,
        state,
        (before, value, node) -> {
          State after = before.step(value);
          if (after != null) {
            trie.mark(node, mask);
          }
          return after;
        });
  }

  private Inside inside(Rule.Run run) {
    BitSet tokens = new BitSet(tokenizer.vocabularySize());
    IntStream.Builder ends = IntStream.builder();
    trie.<Rule.Run>walk(
        TokenTrie.ROOT,
        run,
        (before, value, node) -> {
          Rule after = before.step(value);
          if (after != null) {
            trie.mark(node, tokens);
          }
          if (after == Rule.EMPTY && !trie.isLeaf(node)) {
            ends.add(node);
          }
          return after instanceof Rule.Run on ? on : null;
        });
    return new Inside(tokens, ends.build().toArray());
  }

  /** The cached value, or a new one made outside the lock; two threads may make the same. */
  private static <K, V> V get(Map<K, V> kept, K key, Function<K, V> make) {
    synchronized (kept) {
      V value = kept.get(key);
      if (value != null) {
        return value;
      }
    }
    V value = make.apply(key);
    synchronized (kept) {
      kept.put(key, value);
    }
    return value;
  }

  private static <K, V> Map<K, V> kept(int most) {
    return new LinkedHashMap<>(16, 0.75f, true) {
      @Override
      protected boolean removeEldestEntry(Map.Entry<K, V> eldest) {
        return size() > most;
      }
    };
  }
}
