package panamoe.engine;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.backend.AttentionSettings;
import panamoe.backend.Backend;
import panamoe.backend.Recording;
import panamoe.model.LanguageModel;
import panamoe.nn.KeyValueCache;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Runs a model with a key/value cache. A token's logits do not depend on the other sequences in the
 * batch.
 *
 * <p>The one-token step is recorded once and replayed, without allocating Java objects. Used by one
 * thread at a time.
 */
public final class Decoder implements AutoCloseable {
  private final Backend backend;
  private final LanguageModel model;
  private final TensorScope scope;
  private final KeyValueCache cache;
  private final Tensor table; // slot s has block s
  private final Tensor token;
  private final Tensor slot;
  private final Tensor position;
  private Tensor stepLogits;
  private TensorScope stepMemory;
  private Recording step;

  /**
   * @param slots number of sequences in the cache
   * @param capacity longest sequence in tokens, at most the model's context
   */
  public Decoder(Backend backend, LanguageModel model, long slots, long capacity) {
    if (capacity > model.config().context()) {
      throw new IllegalArgumentException(
          "capacity is "
              + capacity
              + ", more than the model's context of "
              + model.config().context());
    }
    boolean full =
        model.config().blocks().stream()
            .anyMatch(block -> block.attention().scores().mask() == AttentionSettings.Mask.FULL);
    if (full) {
      throw new IllegalArgumentException(
          "a model with a FULL mask cannot generate: a later token would change earlier ones");
    }
    this.backend = backend;
    this.model = model;
    this.scope = TensorScope.shared(backend);
    try {
      this.cache = model.cache(scope, slots, capacity);
      this.table = scope.allocate(DType.INT32, slots, 1);
      for (int s = 0; s < slots; s++) {
        table.setInt(s, s);
      }
      this.token = scope.zeros(DType.INT32, 1);
      this.slot = scope.zeros(DType.INT32, 1);
      this.position = scope.zeros(DType.INT32, 1);
    } catch (RuntimeException | Error e) {
      scope.close();
      throw e;
    }
  }

  public long capacity() {
    return cache.blockSize();
  }

  /**
   * Computes the logits after the last of {@code tokens}, which continue the sequence in slot
   * {@code slotIndex} at position {@code start}.
   *
   * @param logits [V], receives the result
   */
  public void prefill(int slotIndex, int start, int[] tokens, float[] logits) {
    if (tokens.length == 0 || start + tokens.length > capacity()) {
      throw new IllegalArgumentException(
          tokens.length
              + " tokens from position "
              + start
              + " do not fit a cache of "
              + capacity());
    }
    try (TensorScope activations = TensorScope.confined(backend)) {
      Pass pass = Pass.inference(backend, activations);
      Tensor ids = activations.allocate(DType.INT32, tokens.length).set(tokens);
      Tensor slots = activations.allocate(DType.INT32, tokens.length);
      Tensor positions = activations.allocate(DType.INT32, tokens.length);
      for (int i = 0; i < tokens.length; i++) {
        slots.setInt(i, slotIndex);
        positions.setInt(i, start + i);
      }
      Tensor hidden =
          model.forward(
              pass, ids, new Sequences.Running(cache, table, slots, positions), null, false);
      read(model.logits(pass, hidden.rows(tokens.length - 1, tokens.length)), logits);
    }
  }

  /** Computes the logits after one token at position {@code at}, by replaying the recorded step. */
  public void step(int slotIndex, int at, int tokenId, float[] logits) {
    if (at >= capacity()) {
      throw new IllegalArgumentException("position " + at + " is past the cache of " + capacity());
    }
    token.setInt(0, tokenId);
    slot.setInt(0, slotIndex);
    position.setInt(0, at);
    if (step == null) {
      step = record();
    } else {
      step.replay();
    }
    read(stepLogits, logits);
  }

  /** Computes the first step and records its kernel calls and their memory. */
  private Recording record() {
    TensorScope activations = TensorScope.shared(backend);
    try {
      Recording recording = backend.record(() -> computeStep(activations));
      stepMemory = activations;
      return recording;
    } catch (RuntimeException | Error e) {
      activations.close();
      throw e;
    }
  }

  private void computeStep(TensorScope activations) {
    Pass pass = Pass.inference(backend, activations);
    Tensor hidden =
        model.forward(
            pass, token, new Sequences.Running(cache, table, slot, position), null, false);
    stepLogits = model.logits(pass, hidden);
  }

  private void read(Tensor logits, float[] into) {
    backend.synchronize();
    MemorySegment.copy(logits.data(), ValueLayout.JAVA_FLOAT, 0, into, 0, into.length);
  }

  @Override
  public void close() {
    if (step != null) {
      step.close();
      stepMemory.close();
    }
    scope.close();
  }
}
