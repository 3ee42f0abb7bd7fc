package panamoe.engine.sample;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;
import panamoe.backend.Backend;
import panamoe.backend.KernelGraph;
import panamoe.backend.SampleKernels.Sampling;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Samples tokens from rows of logits, all rows in one call. Apart from the logits, a token depends
 * only on the sequence's {@link SamplerState}. Used by one thread.
 *
 * <p>For each step: {@link #take} its logits, {@link #ask} for the tokens of some rows, {@link
 * #sample}, and read each {@link #token}. If the logits are the previous step's tensor, as during
 * decode, nothing is allocated. On a GPU the settings go there in one copy and the tokens come back
 * in one; a row of logits is copied only if it is read or changed.
 */
public final class Sampler implements AutoCloseable {
  /** The logit of a token that must not be sampled. */
  public static final float NEVER = -Float.MAX_VALUE;

  private static final int ALIGNMENT = 64;

  private final Backend backend;
  private TensorScope scope;
  private Tensor logits;
  private HostView logitsOnHost;
  private final BitSet rowsOnHost = new BitSet();
  private final BitSet changedRows = new BitSet();
  private Room room;
  // The captured kernel call, kept from the first sampling from these logits on.
  private KernelGraph call;

  /** One tensor with the settings of all rows, followed by the tokens; the offset of each. */
  private static final class Room {
    private final long temperature;
    private final long minP;
    private final long topK;
    private final long topP;
    private final long tokens;
    private final HostView host;
    private final Sampling sampling;

    Room(TensorScope scope, long rows) {
      long step = Math.ceilDiv(rows * Integer.BYTES, (long) ALIGNMENT) * ALIGNMENT;
      temperature = 2 * step; // after the uniform numbers of 8 bytes each
      minP = temperature + step;
      topK = minP + step;
      topP = topK + step;
      tokens = topP + step;
      Tensor all = scope.allocate(DType.UINT8, tokens + rows * Integer.BYTES);
      host = HostView.of(all);
      sampling =
          new Sampling(
              all.part(temperature, DType.FLOAT32, rows),
              all.part(minP, DType.FLOAT32, rows),
              all.part(topK, DType.INT32, rows),
              all.part(topP, DType.FLOAT32, rows),
              all.part(0, DType.FLOAT64, rows),
              all.part(tokens, DType.INT32, rows));
    }

    void setUniform(long row, double value) {
      host.memory().setAtIndex(ValueLayout.JAVA_DOUBLE, row, value);
    }

    void set(long list, long row, float value) {
      host.memory().set(ValueLayout.JAVA_FLOAT, list + row * Float.BYTES, value);
    }

    void set(long list, long row, int value) {
      host.memory().set(ValueLayout.JAVA_INT, list + row * Integer.BYTES, value);
    }

    int token(long row) {
      return host.memory().get(ValueLayout.JAVA_INT, tokens + row * Integer.BYTES);
    }
  }

  public Sampler(Backend backend) {
    this.backend = backend;
  }

  /**
   * Takes the logits of a step, and drops earlier requests for tokens.
   *
   * @param of FLOAT32 [S, V]; rows for which a token is asked are changed
   */
  public void take(Tensor of) {
    if (of != logits) {
      close();
      scope = TensorScope.shared(backend);
      logits = of;
      room = new Room(scope, of.size(0));
    }
    rowsOnHost.clear();
    changedRows.clear();
    for (long row = 0; row < of.size(0); row++) {
      room.setUniform(row, -1); // out of range: no token is sampled
    }
  }

  /** The logits FLOAT32 [V] of a row, to change before sampling. */
  public MemorySegment change(int row) {
    changedRows.set(row);
    return row(row);
  }

  /** The logits FLOAT32 [V] of a row, to read. */
  public MemorySegment row(int row) {
    if (logitsOnHost == null) {
      logitsOnHost = HostView.of(logits);
    }
    if (!rowsOnHost.get(row)) {
      logitsOnHost.read(row * rowBytes(), (row + 1) * rowBytes());
      rowsOnHost.set(row);
    }
    return logitsOnHost.memory().asSlice(row * rowBytes(), rowBytes());
  }

  private long rowBytes() {
    return logits.size(1) * Float.BYTES;
  }

  /**
   * Asks for the next token of a sequence, and applies its penalties and biases to the row's
   * logits. The caller records the token in the state.
   */
  public void ask(int row, SamplerState state) {
    if (state.changes()) {
      state.change(change(row));
    }
    SamplingConfig config = state.config();
    float temperature = (float) config.temperature();
    boolean greedy = temperature < Float.MIN_NORMAL;
    room.set(room.temperature, row, greedy ? 0 : temperature);
    room.set(room.minP, row, (float) config.minP());
    room.set(room.topK, row, config.topK());
    room.set(room.topP, row, (float) config.topP());
    room.setUniform(row, config.temperature() == 0 ? 0 : state.uniform());
  }

  /** Samples all tokens that were asked for. */
  public void sample() {
    for (int row = changedRows.nextSetBit(0); row >= 0; row = changedRows.nextSetBit(row + 1)) {
      logitsOnHost.write(row * rowBytes(), (row + 1) * rowBytes());
    }
    room.host.write(0, room.tokens);
    if (call == null) {
      call = backend.capture(() -> backend.sample(room.sampling, logits));
    } else {
      call.replay();
    }
    room.host.read(room.tokens, room.tokens + logits.size(0) * Integer.BYTES);
  }

  /** The sampled token; -1 if a logit of the row is not finite. */
  public int token(int row) {
    return room.token(row);
  }

  /** Frees the sampler's memory for a step; the logits stay the caller's. */
  @Override
  public void close() {
    if (call != null) {
      call.close();
      call = null;
    }
    if (scope != null) {
      scope.close();
      scope = null;
    }
    logits = null;
    logitsOnHost = null;
  }
}
