package panamoe.comm.tcp;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import panamoe.comm.message.Messages;

/** The messages of a group over the connections of its world. */
final class TcpMessages implements Messages {
  private final TcpWorld world;
  private final Connection[] connections; // by member; null for this one
  private final int[] ranks;
  private final long group;
  private final List<Connection.Message> messages = new ArrayList<>();
  private long splits;

  /**
   * @param ranks of the members in the world
   * @param group its number; different for groups with two common members
   */
  TcpMessages(TcpWorld world, int[] ranks, long group) {
    this.world = world;
    this.connections = Arrays.stream(ranks).mapToObj(world::connection).toArray(Connection[]::new);
    this.ranks = ranks;
    this.group = group;
  }

  @Override
  public void send(MemorySegment data, int member, int tag) {
    messages.add(connections[member].send(group, tag, data));
  }

  @Override
  public void receive(MemorySegment data, int member, int tag) {
    messages.add(connections[member].receive(group, tag, data));
  }

  @Override
  public int count() {
    return messages.size();
  }

  /** Moves all messages, because other ranks may wait for those that no thread awaits here. */
  @Override
  public boolean finished(int from, int to) {
    boolean finished = true;
    for (int i = 0; i < messages.size(); i++) {
      Connection.Message message = messages.get(i);
      boolean done = message.done();
      if (i >= from && i < to) {
        message.requireNotRefused();
        finished &= done;
      }
    }
    return finished;
  }

  @Override
  public void clear() {
    messages.clear();
  }

  /** The world has failed: no more messages arrive. */
  @Override
  public void cancel() {
    world.disconnect();
  }

  @Override
  public Messages split(int[] members, int rank, Arena arena) {
    // All members count the same splits. Parts of one split have no common member.
    return new TcpMessages(
        world, Arrays.stream(members).map(member -> ranks[member]).toArray(), part(++splits));
  }

  /** A number for a part: SplitMix64's function of the group and how often it was split. */
  private long part(long split) {
    long mixed = group + split * 0x9e3779b97f4a7c15L;
    mixed = (mixed ^ mixed >>> 30) * 0xbf58476d1ce4e5b9L;
    mixed = (mixed ^ mixed >>> 27) * 0x94d049bb133111ebL;
    return mixed ^ mixed >>> 31;
  }

  @Override
  public void close() {
    for (Connection connection : connections) {
      if (connection != null) {
        connection.forget(group);
      }
    }
  }
}
