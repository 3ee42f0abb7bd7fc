package panamoe.engine.schedule;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import panamoe.io.IntList;

/**
 * The rows of a step on one data rank, and the changes of its block table before it. Created once
 * and filled for each step. Used by one thread.
 */
public final class StepRows {
  final int[] tokens;
  final int[] slots;
  final int[] positions;
  // Those of one adapter are neighbours; 0: without one.
  final int[] adapters;
  boolean adapted;
  int count;
  // Whether routes of this step are reported, of these or other rows.
  boolean reportsRoutes;
  // Experts per row in each MoE layer; null for the gates' own K. Not to be changed.
  int[] topK;
  // Whether the final hidden states of wanted rows are asked for, instead of their logits.
  boolean hidden;
  // The rows that are asked for, in order.
  final int[] wanted;
  int wantedCount;
  // changedBlocks[i] becomes block number changedIndices[i] of slot changedSlots[i].
  final IntList changedSlots = new IntList();
  final IntList changedIndices = new IntList();
  final IntList changedBlocks = new IntList();
  // sources.get(i) is encoded for slot sourceSlots.get(i) before the rows are computed.
  final IntList sourceSlots = new IntList();
  final List<int[]> sources = new ArrayList<>();

  /**
   * @param most rows of a step
   */
  public StepRows(int most) {
    tokens = new int[most];
    slots = new int[most];
    positions = new int[most];
    adapters = new int[most];
    wanted = new int[most];
  }

  /** Empties the step. */
  public void clear() {
    count = 0;
    wantedCount = 0;
    adapted = false;
    reportsRoutes = false;
    hidden = false;
    topK = null;
    changedSlots.clear();
    changedIndices.clear();
    changedBlocks.clear();
    sourceSlots.clear();
    sources.clear();
  }

  /** Room for more rows. */
  int left() {
    return tokens.length - count;
  }

  /** Adds a row: {@code token} at {@code position} of the sequence in {@code slot}. */
  public void add(int token, int slot, int position) {
    add(token, slot, position, 0);
  }

  /** Adds a row with one of the model's adapters; 0: without one. */
  public void add(int token, int slot, int position, int adapter) {
    tokens[count] = token;
    slots[count] = slot;
    adapters[count] = adapter;
    adapted |= adapter != 0;
    positions[count++] = position;
  }

  /** The first row of each of {@code choices} adapters, and the number of rows. */
  int[] starts(int choices) {
    int[] starts = new int[choices + 1];
    for (int row = 0; row < count; row++) {
      starts[adapters[row] + 1]++;
    }
    Arrays.parallelPrefix(starts, Integer::sum);
    return starts;
  }

  /** {@link #starts} among the wanted rows. */
  int[] wantedStarts(int choices) {
    int[] starts = new int[choices + 1];
    for (int i = 0; i < wantedCount; i++) {
      starts[adapters[wanted[i]] + 1]++;
    }
    Arrays.parallelPrefix(starts, Integer::sum);
    return starts;
  }

  /**
   * Asks for the logits, or the hidden state, of the row that was added last.
   *
   * @return its index among the wanted rows
   */
  public int want() {
    wanted[wantedCount] = count - 1;
    return wantedCount++;
  }

  /** The size of {@link #write} in bytes. */
  int bytes() {
    return Integer.BYTES * (6 + limits() + 3 * count + wantedCount + 3 * changedSlots.size());
  }

  private int limits() {
    return topK == null ? 0 : topK.length;
  }

  /** Writes the step for {@link #read}. */
  void write(ByteBuffer to) {
    to.putInt(reportsRoutes ? 1 : 0).putInt(hidden ? 1 : 0).putInt(limits());
    for (int i = 0; i < limits(); i++) {
      to.putInt(topK[i]);
    }
    to.putInt(count).putInt(wantedCount).putInt(changedSlots.size());
    for (int row = 0; row < count; row++) {
      to.putInt(tokens[row]).putInt(slots[row]).putInt(positions[row]);
    }
    for (int i = 0; i < wantedCount; i++) {
      to.putInt(wanted[i]);
    }
    for (int i = 0; i < changedSlots.size(); i++) {
      to.putInt(changedSlots.get(i)).putInt(changedIndices.get(i)).putInt(changedBlocks.get(i));
    }
  }

  /** Replaces this step by one that another rank wrote. */
  void read(ByteBuffer from) {
    clear();
    reportsRoutes = from.getInt() != 0;
    hidden = from.getInt() != 0;
    int limits = from.getInt();
    if (limits > 0) {
      topK = new int[limits];
      Arrays.setAll(topK, _ -> from.getInt());
    }
    int rows = from.getInt();
    wantedCount = from.getInt();
    int changes = from.getInt();
    while (count < rows) {
      add(from.getInt(), from.getInt(), from.getInt());
    }
    for (int i = 0; i < wantedCount; i++) {
      wanted[i] = from.getInt();
    }
    for (int i = 0; i < changes; i++) {
      change(from.getInt(), from.getInt(), from.getInt());
    }
  }

  /** Adds the changes of {@code other}. */
  void takeChanges(StepRows other) {
    for (int i = 0; i < other.changedSlots.size(); i++) {
      change(other.changedSlots.get(i), other.changedIndices.get(i), other.changedBlocks.get(i));
    }
  }

  /** Has the encoder read a sequence for a slot; for a model with an encoder, on one rank. */
  public void encode(int slot, int[] text) {
    sourceSlots.add(slot);
    sources.add(text);
  }

  /** Sets block number {@code index} of a slot to {@code block}. */
  public void change(int slot, int index, int block) {
    changedSlots.add(slot);
    changedIndices.add(index);
    changedBlocks.add(block);
  }
}
