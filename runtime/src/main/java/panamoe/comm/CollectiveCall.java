package panamoe.comm;

import java.util.Arrays;
import java.util.stream.IntStream;
import panamoe.io.Require;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * The arguments of one member's collective. The factory methods check them; the members compare
 * their calls before any data moves, so that a mismatch becomes a sentence instead of a hang or
 * wrong numbers. Immutable; do not write to the arrays.
 *
 * @param dtype of the tensors; null for numbers, bytes and calls that carry nothing
 * @param rowBytes bytes of one row (of one element where a call has no rows)
 * @param sizes rows this member sends to each member (all-to-all), rows of each member (all-gather,
 *     reduce-scatter), or the number of elements
 * @param expected rows this member expects from each member of an all-to-all, otherwise empty
 * @param root of a broadcast, otherwise 0
 * @param location in the model, as last set by {@link Communicator#at}
 */
public record CollectiveCall(
    Collective collective,
    DType dtype,
    long rowBytes,
    long[] sizes,
    long[] expected,
    int root,
    String location) {
  private static final long[] NONE = {};

  /**
   * @throws IllegalArgumentException if the tensors differ in row shape or are too small for the
   *     rows
   */
  public static CollectiveCall allToAll(
      Communicator group,
      String location,
      Tensor send,
      long[] sendRows,
      Tensor receive,
      long[] receiveRows) {
    requireSameRows(send, receive);
    requireRows("sendRows", group.size(), sendRows, send);
    requireRows("receiveRows", group.size(), receiveRows, receive);
    return new CollectiveCall(
        Collective.ALL_TO_ALL,
        send.dtype(),
        rowBytes(send),
        sendRows.clone(),
        receiveRows.clone(),
        0,
        location);
  }

  public static CollectiveCall allToAll(Communicator group, String location, long[] send) {
    if (send.length % group.size() != 0) {
      throw Require.refusal(
          "%s numbers do not divide evenly among %s ranks of %s",
          send.length, group.size(), group.name());
    }
    return new CollectiveCall(
        Collective.ALL_TO_ALL_NUMBERS, null, Long.BYTES, count(send.length), NONE, 0, location);
  }

  /**
   * @throws IllegalArgumentException if the tensor is not of floating point
   */
  public static CollectiveCall allReduce(Communicator group, String location, Tensor tensor) {
    requireFloating(tensor);
    return new CollectiveCall(
        Collective.ALL_REDUCE,
        tensor.dtype(),
        tensor.dtype().bytes(),
        count(tensor.count()),
        NONE,
        0,
        location);
  }

  public static CollectiveCall allReduceNumber(String location) {
    return new CollectiveCall(
        Collective.ALL_REDUCE_NUMBER, null, Double.BYTES, count(1), NONE, 0, location);
  }

  public static CollectiveCall allGather(
      Communicator group, String location, Tensor send, Tensor receive, long[] rows) {
    requireSameRows(send, receive);
    requireRows("rows", group.size(), rows, receive);
    requireOwnRows(group, send, rows);
    return new CollectiveCall(
        Collective.ALL_GATHER, send.dtype(), rowBytes(send), rows.clone(), NONE, 0, location);
  }

  public static CollectiveCall allGatherNumbers(String location, long[] values) {
    return new CollectiveCall(
        Collective.ALL_GATHER_NUMBERS, null, Long.BYTES, count(values.length), NONE, 0, location);
  }

  public static CollectiveCall reduceScatter(
      Communicator group, String location, Tensor send, Tensor receive, long[] rows) {
    requireFloating(send);
    requireSameRows(send, receive);
    requireRows("rows", group.size(), rows, send);
    requireOwnRows(group, receive, rows);
    return new CollectiveCall(
        Collective.REDUCE_SCATTER, send.dtype(), rowBytes(send), rows.clone(), NONE, 0, location);
  }

  /**
   * @param bytes of the root; the other members do not know their number yet
   */
  public static CollectiveCall broadcastBytes(
      Communicator group, String location, byte[] bytes, int root) {
    requireRoot(group, root);
    if (group.rank() == root && bytes == null) {
      throw new IllegalArgumentException(
          "rank " + root + " of " + group.name() + " broadcasts null");
    }
    return new CollectiveCall(
        Collective.BROADCAST_BYTES,
        null,
        group.rank() == root ? bytes.length : 0,
        NONE,
        NONE,
        root,
        location);
  }

  public static CollectiveCall barrier(String location) {
    return new CollectiveCall(Collective.BARRIER, null, 0, NONE, NONE, 0, location);
  }

  public static CollectiveCall split(String location) {
    return new CollectiveCall(Collective.SPLIT, null, 0, NONE, NONE, 0, location);
  }

  /**
   * The number of messages with data that member {@code from} sends to another member {@code to}.
   */
  public int messages(int from, int to, int members) {
    if (collective == Collective.ALL_REDUCE) {
      return (share(sizes[0], from, members) > 0 ? 1 : 0)
          + (share(sizes[0], to, members) > 0 ? 1 : 0);
    }
    return bytes(from, to, members) > 0 ? 1 : 0;
  }

  /**
   * Bytes that member {@code from}, whose call this is, sends to another member {@code to} if every
   * pair talks directly. An all-reduce counts as a reduce-scatter and an all-gather of evenly split
   * elements.
   */
  public long bytes(int from, int to, int members) {
    return switch (collective) {
      case ALL_TO_ALL, REDUCE_SCATTER -> sizes[to] * rowBytes;
      case ALL_TO_ALL_NUMBERS -> sizes[0] / members * rowBytes;
      case ALL_REDUCE -> (share(sizes[0], from, members) + share(sizes[0], to, members)) * rowBytes;
      case ALL_GATHER -> sizes[from] * rowBytes;
      case ALL_REDUCE_NUMBER, ALL_GATHER_NUMBERS -> sizes[0] * rowBytes;
      case BROADCAST_BYTES -> from == root ? rowBytes : 0;
      case BARRIER, SPLIT -> 0;
    };
  }

  /**
   * Member {@code index}'s part of {@code count} elements split evenly; the first members take the
   * remainder, one element each.
   */
  public static long share(long count, int index, int members) {
    return count / members + (index < count % members ? 1 : 0);
  }

  /**
   * A hash that members without shared memory compare before a collective: if their calls do not
   * match, it differs (except in a hash collision). It leaves out the rows of an all-to-all, which
   * each pair compares ({@link #sizes} of one is {@link #expected} of the other).
   */
  public long digest() {
    long digest = collective.ordinal();
    digest = digest * 0x9e3779b97f4a7c15L + (dtype == null ? -1 : dtype.code());
    digest =
        digest * 0x9e3779b97f4a7c15L + (collective == Collective.BROADCAST_BYTES ? 0 : rowBytes);
    digest = digest * 0x9e3779b97f4a7c15L + root;
    digest = digest * 0x9e3779b97f4a7c15L + location.hashCode();
    if (collective != Collective.ALL_TO_ALL) {
      for (long size : sizes) {
        digest = digest * 0x9e3779b97f4a7c15L + size;
      }
    }
    return digest ^ digest >>> 32;
  }

  /** What {@link #digest} covers, in words: {@code allReduce FLOAT32 sizes [12] at layer 3}. */
  public String describe() {
    String what =
        switch (collective) {
          case ALL_TO_ALL -> " " + dtype + " rows of " + rowBytes + " bytes";
          case ALL_GATHER, REDUCE_SCATTER ->
              " " + dtype + " rows " + Arrays.toString(sizes) + " of " + rowBytes + " bytes";
          case ALL_REDUCE -> " " + dtype + " of " + sizes[0];
          case ALL_TO_ALL_NUMBERS, ALL_GATHER_NUMBERS -> " of " + sizes[0] + " numbers";
          case BROADCAST_BYTES -> " from member " + root;
          case ALL_REDUCE_NUMBER, BARRIER, SPLIT -> "";
        };
    return collective.words() + what + (location.isEmpty() ? "" : " at " + location);
  }

  /** The bytes of these rows, member by member. */
  public long[] bytes(long[] rows) {
    return Arrays.stream(rows).map(count -> count * rowBytes).toArray();
  }

  private static long[] count(long count) {
    return new long[] {count};
  }

  /** Bytes of one row of a tensor that has rows. */
  public static long rowBytes(Tensor tensor) {
    long elements = 1;
    for (int axis = 1; axis < tensor.rank(); axis++) {
      elements *= tensor.size(axis);
    }
    return elements * tensor.dtype().bytes();
  }

  private static void requireUnpacked(Tensor tensor) {
    Require.that(!tensor.packed(), "a packed tensor cannot be sent: %s", tensor);
  }

  private static void requireFloating(Tensor tensor) {
    requireUnpacked(tensor);
    boolean floating = tensor.dtype().isFloating();
    Require.that(floating, "only FLOAT32 and BFLOAT16 can be summed, but this is %s", tensor);
  }

  private static void requireSameRows(Tensor send, Tensor receive) {
    requireUnpacked(send);
    requireUnpacked(receive);
    boolean same =
        send.dtype() == receive.dtype() && send.rank() == receive.rank() && send.rank() > 0;
    if (!same
        || IntStream.range(1, send.rank())
            .anyMatch(axis -> send.size(axis) != receive.size(axis))) {
      throw new IllegalArgumentException("rows of " + send + " cannot be received into " + receive);
    }
  }

  private static void requireRows(String name, int members, long[] rows, Tensor tensor) {
    Require.that(
        rows.length == members, "%s has %s entries for %s ranks", name, rows.length, members);
    long sum = 0;
    for (long count : rows) {
      if (count < 0) {
        throw Require.refusal("%s has a negative entry: %s", name, Arrays.toString(rows));
      }
      sum = Math.addExact(sum, count);
    }
    Require.that(
        sum <= tensor.size(0), "%s add up to %s, more than the rows of %s", name, sum, tensor);
  }

  private static void requireOwnRows(Communicator group, Tensor own, long[] rows) {
    if (own.size(0) < rows[group.rank()]) {
      throw Require.refusal(
          "%s has fewer rows than the %s of rank %s in %s",
          own, rows[group.rank()], group.rank(), group.name());
    }
  }

  private static void requireRoot(Communicator group, int root) {
    boolean member = root >= 0 && root < group.size();
    Require.that(member, "root %s is not one of %s ranks", root, group.size());
  }
}
